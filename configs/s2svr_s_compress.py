# A small S2SVR for compressed video, x265 at QP 27 to 42, for minutes on a GPU or, with
# batch_size=1, hours on a CPU. It learns from good clips alone, data/clips/train/gt (README, "Your
# own clips").
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s.py',
    '_base_/datasets/clips_compressed.py',
    '_base_/schedules/hours.py',
]

model = dict(
    generator=dict(num_blocks=3, scale=1),
    train_cfg=dict(fix_iter=1000),
)

train_pipeline = [
    dict(type='LoadClip'),
    # By up to 3 pixels a frame: of the 9 at each side, none is left.
    dict(type='FixedCrop', keys=['gt'], crop_size=(106, 106)),
    dict(type='AddMotion'),
    dict(type='CompressVideo', qp=[27, 32, 37, 42]),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(num_input_frames=7, pipeline=train_pipeline),
)

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'flow_estimator': dict(lr_mult=0.25)}))
default_hooks = dict(checkpoint=dict(interval=250))
