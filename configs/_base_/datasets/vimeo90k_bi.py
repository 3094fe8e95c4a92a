# Vimeo-90K septuplets for x4 super-resolution, mirrored to 14 frames; validated on Vid4, Y alone.
_base_ = ['paired_clips.py']

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='PairedRandomCrop', gt_patch_size=256),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='MirrorSequence', keys=['img', 'gt']),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    dataset=dict(
        data_root='data/vimeo90k',
        data_prefix=dict(img='BIx4', gt='GT'),
        ann_file='meta_info_Vimeo90K_train_GT.txt',
        prepare='vimeo90k',
        scale=4,
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root='data/Vid4',
        data_prefix=dict(img='BIx4', gt='GT'),
        ann_file='meta_info_Vid4_GT.txt',
        prepare='vid4',
        scale=4,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[
        dict(
            type='PerClip',
            metrics=[dict(type='PSNR', convert_to='Y'), dict(type='SSIM', convert_to='Y')],
            num_clips=4,
            num_frames=171,
        )
    ]
)
test_evaluator = val_evaluator
