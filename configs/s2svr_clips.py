# S2SVR on your own clips in data/clips (docs/train.md), with a quarter of the paper's
# arithmetic.
# For pairs of one size (to make them of good clips alone, see s2svr_clips_deblur.py and
# s2svr_clips_compress.py): --cfg-options model.generator.scale=1
# train_dataloader.dataset.scale=1 val_dataloader.dataset.scale=1 test_dataloader.dataset.scale=1
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/clips.py',
    '_base_/schedules/adam_cosine_2e-4.py',
]

model = dict(generator=dict(mid_channels=32, num_blocks=8))
train_cfg = dict(max_iters=100_000)
