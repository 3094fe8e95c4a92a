# A small S2SVR for compressed video, x265 at QP 27 to 42, for hours on a CPU. It works on squares
# of two by two pixels, at a quarter of the cost, and has a branch that sees how the aligned
# neighbours of a frame differ from it: what compression took is small beside the picture, and
# without the branch no neighbour is ever used. A last stage may train the flow along, as that of
# the weights did (s2svr_mm/weights/README.md). It learns from good clips alone, data/clips/train/gt
# (docs/train.md).
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s_same_size.py',
    '_base_/datasets/clips_compressed_drift.py',
    '_base_/schedules/adam_warmup_cosine_2500.py',
]

model = dict(generator=dict(detail_branch=dict(aligned=4)))
default_hooks = dict(checkpoint=dict(interval=250))
