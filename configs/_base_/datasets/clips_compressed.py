# A person's own good clips, `train/gt` and `val/gt`, compressed by x265 while they are loaded: one
# intra frame, then P frames, QP 37. In training a patch is compressed and not the whole frames,
# which would take longer than the network.
_base_ = ['paired_clips.py']

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(128, 128)),
    dict(type='CompressVideo', qp=37),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='CompressVideo', qp=37),
    dict(type='PackInputs', meta_keys=['key']),
]

clips = dict(data_root='data/clips', prepare='clips')
train_dataloader = dict(
    num_workers=2,
    dataset=dict(
        data_prefix=dict(gt='train/gt'), num_input_frames=7, pipeline=train_pipeline, **clips
    ),
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(gt='val/gt'), pipeline=val_pipeline, **clips),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[
        dict(type='PSNR', convert_to='Y'),
        dict(type='SSIM', convert_to='Y'),
        dict(type='RestorationGain'),
    ]
)
test_evaluator = val_evaluator
