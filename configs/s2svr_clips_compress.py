# S2SVR for the enhancement of compressed video, learnt from your own good clips in data/clips
# (docs/train.md), with a quarter of the paper's arithmetic.
# For another quality: --cfg-options train_dataloader.dataset.pipeline.2.qp=32
# val_dataloader.dataset.pipeline.1.qp=32
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/clips_compressed.py',
    '_base_/schedules/adam_cosine_2e-4.py',
]

model = dict(generator=dict(mid_channels=32, num_blocks=8, scale=1))
train_cfg = dict(max_iters=100_000)
