# A BasicVSR with as many trained parameters as s2svr_s_x2_video, on the same data and by the same
# rules. SPyNet's weights as in _base_/models/basicvsr.py.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/basicvsr.py',
    '../_base_/datasets/clips_real_x2.py',
    '../_base_/schedules/adam_warmup_cosine_2500.py',
]

model = dict(
    generator=dict(type='BasicVSRX2Net', mid_channels=32, num_blocks=12),
    train_cfg=dict(fix_iter=10_000_000),
)
train_cfg = dict(max_iters=20_000)
default_hooks = dict(checkpoint=dict(interval=500, save_best='crf23/PSNR'))
