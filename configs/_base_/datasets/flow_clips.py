# Clean clips to learn from: folders of frames or videos, no labels. Pairs with true flow, in the
# layout of Middlebury, to measure on; nothing is chosen by them.
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['img'], crop_size=(176, 176)),
    dict(type='Flip', keys=['img'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img'], flip_ratio=0.5, direction='vertical'),
    dict(type='PackInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='LoadFlow'),
    dict(type='PackInputs', data_keys=['gt_flow', 'gt_valid', 'gt_visible', 'gt_clean']),
]

train_dataloader = dict(
    num_workers=2,
    batch_size=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='VideoClipDataset',
        data_root='data/clips',
        data_prefix=dict(img='train/gt'),
        prepare='clips',
        num_input_frames=2,
        interval_list=[1, 2],
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    batch_size=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FlowPairDataset', data_root='data/middlebury', pipeline=val_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Evaluator', metrics=[dict(type='EndPointError')])
test_evaluator = val_evaluator
