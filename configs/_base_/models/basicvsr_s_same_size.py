# A BasicVSR of the size of s2svr_s_same_size. SPyNet's weights as in basicvsr.py.
_base_ = ['basicvsr.py']

model = dict(
    generator=dict(type='BasicVSRSameSizeNet', mid_channels=40, num_blocks=22, unshuffle=2),
    train_cfg=dict(fix_iter=10_000_000),
)
