# Sharp clips that drift, blurred over the time of up to six frames while they are loaded.
_base_ = ['clips_blurred.py']

train_pipeline = [
    dict(type='LoadClip'),
    # By up to 2 pixels a frame: of the 16 at each side, none is left.
    dict(type='FixedCrop', keys=['gt'], crop_size=(96, 96)),
    dict(type='AddMotion', max_motion=2.0, prob=1.0, min_motion=0.6),
    # 11 blurred frames of exposures that overlap, or 3 of such that hardly do.
    dict(type='AverageMotionBlur', num_frames=[1, 3, 5, 7, 7], stride=[1, 1, 5]),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(num_input_frames=17, pipeline=train_pipeline),
)
