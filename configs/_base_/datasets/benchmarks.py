# The test sets of x4 super-resolution, each by its own protocol: REDS4, Vimeo-90K-T and Vid4 from
# bicubic frames (BI), UDM10 from blurred ones (BD). A network is trained for one of the two; on the
# other its figures are not those to compare.
test_dataset = dict(
    type='VideoClipDataset',
    scale=4,
    test_mode=True,
    pipeline=[dict(type='LoadClip'), dict(type='PackInputs', meta_keys=['key'])],
)
test_loader = dict(
    num_workers=1,
    batch_size=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
rgb = [dict(type='PSNR'), dict(type='SSIM')]
luma = [dict(type='PSNR', convert_to='Y'), dict(type='SSIM', convert_to='Y')]

test_dataloader = [
    dict(
        test_loader,
        dataset=dict(
            test_dataset,
            data_root='data/REDS',
            data_prefix=dict(img='train_sharp_bicubic/X4', gt='train_sharp'),
            ann_file='meta_info_reds4_val.txt',
            prepare='reds',
        ),
    ),
    # 7 frames mirrored to 14; both copies of the centre frame, im4, are averaged and measured.
    dict(
        test_loader,
        dataset=dict(
            test_dataset,
            data_root='data/vimeo90k',
            data_prefix=dict(img='BIx4', gt='GT'),
            ann_file='meta_info_Vimeo90K_test_GT.txt',
            gt_frames='center',
            prepare='vimeo90k',
            pipeline=[
                dict(type='LoadClip'),
                dict(type='MirrorSequence', keys=['img']),
                dict(type='PackInputs', meta_keys=['key']),
            ],
        ),
    ),
    dict(
        test_loader,
        dataset=dict(
            test_dataset,
            data_root='data/Vid4',
            data_prefix=dict(img='BIx4', gt='GT'),
            ann_file='meta_info_Vid4_GT.txt',
            prepare='vid4',
        ),
    ),
    dict(
        test_loader,
        dataset=dict(
            test_dataset,
            data_root='data/UDM10',
            data_prefix=dict(img='BDx4', gt='GT'),
            prepare='udm10',
        ),
    ),
]


test_evaluator = [
    dict(
        type='Evaluator',
        metrics=dict(type='PerClip', prefix='REDS4', metrics=rgb, num_clips=4, num_frames=400),
    ),
    dict(
        type='Evaluator',
        metrics=dict(
            type='PerClip',
            prefix='Vimeo-90K-T',
            metrics=luma,
            num_clips=7824,
            num_frames=7824,
            list_clips=False,
        ),
    ),
    dict(
        type='Evaluator',
        metrics=dict(type='PerClip', prefix='Vid4', metrics=luma, num_clips=4, num_frames=171),
    ),
    dict(
        type='Evaluator',
        metrics=dict(type='PerClip', prefix='UDM10', metrics=luma, num_clips=10, num_frames=320),
    ),
]
test_cfg = dict(type='WindowedTestLoop')
