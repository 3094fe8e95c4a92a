# A small S2SVR for people's own footage, enlarged x2: compressed, slightly soft, slightly noisy
# (docs/train.md). It learns from good clips alone, data/clips/train/gt, on a CPU.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s_video.py',
    '_base_/datasets/clips_real_x2.py',
    '_base_/schedules/adam_warmup_cosine_2500.py',
]

model = dict(generator=dict(scale=2))
train_cfg = dict(max_iters=20_000)
default_hooks = dict(checkpoint=dict(interval=500, save_best='crf23/PSNR'))
