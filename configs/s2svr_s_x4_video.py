# A small S2SVR for people's own footage, enlarged x4: compressed, slightly soft, slightly noisy
# (docs/train.md). It learns from good clips alone, data/clips/train/gt, on a CPU. Its flow is
# OpenCV's DIS, on frames enlarged twice: nothing to learn, and next to no time.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s.py',
    '_base_/datasets/clips_real_x4.py',
    '_base_/schedules/adam_warmup_cosine_2500.py',
]

model = dict(
    generator=dict(
        num_blocks=3,
        scale=4,
        slim_heads=True,
        flow_input_size=2,
        flow_estimator=dict(_delete_=True, type='DISFlow'),
    )
)
train_cfg = dict(max_iters=20_000)
default_hooks = dict(checkpoint=dict(interval=500, save_best='crf23/PSNR'))
