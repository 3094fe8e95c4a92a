# GoPro for deblurring at full size, RGB: 22 clips to train on, 11 to test.
_base_ = ['paired_clips.py']

gopro = dict(
    data_root='data/GoPro',
    prepare='gopro',
    scale=1,
)
train_dataloader = dict(
    dataset=dict(data_prefix=dict(img='train/blur', gt='train/sharp'), num_input_frames=7, **gopro)
)
val_dataloader = dict(dataset=dict(data_prefix=dict(img='test/blur', gt='test/sharp'), **gopro))
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[
        dict(
            type='PerClip',
            metrics=[dict(type='PSNR'), dict(type='SSIM')],
            num_clips=11,
            num_frames=1111,
        )
    ]
)
test_evaluator = val_evaluator
