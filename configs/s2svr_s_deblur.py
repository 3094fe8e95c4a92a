# A small S2SVR for deblurring, made for hours on a CPU. It learns from sharp clips alone,
# data/clips/train/gt (README, "Your own clips"), blurred over 7 frames: the mean of 3 blurs clips
# of 25 frames a second so little (39 dB) that there is nothing to learn.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s.py',
    '_base_/datasets/clips_blurred.py',
    '_base_/schedules/hours.py',
]

model = dict(generator=dict(num_blocks=3, scale=1))

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(80, 80)),
    dict(type='AverageMotionBlur', num_frames=7, in_between=3),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(num_input_frames=11, pipeline=train_pipeline),
)
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='AverageMotionBlur', num_frames=7, in_between=3),
    dict(type='PackInputs', meta_keys=['key']),
]
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

default_hooks = dict(checkpoint=dict(interval=250))
