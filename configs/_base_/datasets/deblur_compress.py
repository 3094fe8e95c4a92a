# Deblurring and enhancement at once: GoPro, and MFQEv2 at QP 37. The 22 clips of GoPro are counted
# 5 times, so that either task has about half of the samples. A batch has one patch size: that of
# the smaller data set.
_base_ = ['mfqev2.py']

gopro = dict(type='VideoClipDataset', data_root='data/GoPro', prepare='gopro', scale=1)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='RepeatDataset',
                times=5,
                dataset=dict(
                    data_prefix=dict(img='train/blur', gt='train/sharp'),
                    num_input_frames=7,
                    pipeline={{_base_.train_pipeline}},
                    **gopro,
                ),
            ),
            {{_base_.train_dataloader.dataset}},
        ],
    )
)
val_dataloader = [
    {{_base_.val_dataloader}},
    dict(
        num_workers=1,
        batch_size=1,
        persistent_workers=False,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            data_prefix=dict(img='test/blur', gt='test/sharp'),
            test_mode=True,
            pipeline={{_base_.val_pipeline}},
            **gopro,
        ),
    ),
]
test_dataloader = val_dataloader

val_evaluator = [
    dict(
        type='Evaluator',
        metrics=dict(
            type='PerClip',
            prefix='MFQEv2',
            metrics=[
                dict(type='PSNR', convert_to='Y'),
                dict(type='SSIM', convert_to='Y'),
                dict(type='RestorationGain'),
            ],
            num_clips=18,
        ),
    ),
    dict(
        type='Evaluator',
        metrics=dict(
            type='PerClip',
            prefix='GoPro',
            metrics=[dict(type='PSNR'), dict(type='SSIM')],
            num_clips=11,
            num_frames=1111,
        ),
    ),
]
test_evaluator = val_evaluator
