# MFQEv2 for the enhancement of compressed video at QP 37, Y alone: 108 raw sequences to train on,
# 18 to test. The patches are smaller than elsewhere, as the smallest sequences are 176x144.
_base_ = ['paired_clips.py']

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='PairedRandomCrop', gt_patch_size=128),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
mfqev2 = dict(
    data_root='data/MFQEv2',
    prepare='mfqev2',
    scale=1,
)
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img='train/QP37', gt='train/GT'),
        num_input_frames=7,
        pipeline=train_pipeline,
        **mfqev2,
    )
)
val_dataloader = dict(dataset=dict(data_prefix=dict(img='test/QP37', gt='test/GT'), **mfqev2))
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[
        dict(
            type='PerClip',
            metrics=[
                dict(type='PSNR', convert_to='Y'),
                dict(type='SSIM', convert_to='Y'),
                dict(type='RestorationGain'),
            ],
            num_clips=18,
        )
    ]
)
test_evaluator = val_evaluator
