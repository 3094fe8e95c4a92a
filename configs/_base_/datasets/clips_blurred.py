# A person's own good clips, `train/gt` and `val/gt`, blurred while they are loaded: the mean of 3
# frames and of 7 more between each two, interpolated, as 30 frames a second alone would leave
# ghosts of what moves fast. Blur takes the first and the last frame of a clip.
_base_ = ['clips_compressed.py']

blur = dict(type='AverageMotionBlur', num_frames=3, in_between=7)
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(128, 128)),
    blur,
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
val_pipeline = [dict(type='LoadClip'), blur, dict(type='PackInputs', meta_keys=['key'])]

train_dataloader = dict(dataset=dict(num_input_frames=9, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
