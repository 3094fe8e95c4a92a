# A small S2SVR for frames that keep their size. It works on squares of two by two pixels, at a
# quarter of the cost, and has a branch beside the recurrence that compares neighbours.
_base_ = ['s2svr_s.py']

model = dict(
    generator=dict(
        num_blocks=3,
        scale=1,
        unshuffle=2,
        refine_flow=True,
        detail_branch=dict(num_blocks=6),
    )
)
