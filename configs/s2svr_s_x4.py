# A small S2SVR for x4 super-resolution, made for hours on a CPU. It learns from good clips alone,
# data/clips/train/gt (docs/train.md).
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s.py',
    '_base_/datasets/clips_bicubic_x4.py',
    '_base_/schedules/adam_warmup_cosine_2500.py',
]

# OpenCV's DIS on frames enlarged twice: nothing to learn, next to no time, and no worse here than a
# PWC-Lite that was trained with the rest (s2svr_mm/weights/README.md).
model = dict(generator=dict(flow_input_size=2, flow_estimator=dict(_delete_=True, type='DISFlow')))

train_dataloader = dict(batch_size=1, num_workers=1, persistent_workers=True)

default_hooks = dict(checkpoint=dict(interval=250))
