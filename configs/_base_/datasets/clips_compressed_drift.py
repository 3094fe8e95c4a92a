# Good clips that drift, compressed by x265 at QP 27 to 42 while they are loaded.
_base_ = ['clips_compressed.py']

train_pipeline = [
    dict(type='LoadClip'),
    # By up to 3 pixels a frame: of the 15 at each side, none is left.
    dict(type='FixedCrop', keys=['gt'], crop_size=(126, 126)),
    dict(type='AddMotion', prob=0.9, min_motion=0.3),
    dict(type='CompressVideo', qp=[27, 32, 37, 37, 42]),
    # Compressed alone, small patches would have more of what comes in over the border.
    dict(type='FixedCrop', keys=['img', 'gt'], crop_size=(64, 64)),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(num_input_frames=11, pipeline=train_pipeline),
)
