# DVD for deblurring at full size, RGB: 61 clips to train on, 10 to test.
_base_ = ['paired_clips.py']

dvd = dict(
    data_root='data/DVD',
    prepare='dvd',
    scale=1,
)
train_dataloader = dict(
    dataset=dict(data_prefix=dict(img='train/blur', gt='train/sharp'), num_input_frames=7, **dvd)
)
val_dataloader = dict(dataset=dict(data_prefix=dict(img='test/blur', gt='test/sharp'), **dvd))
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[
        dict(
            type='PerClip',
            metrics=[dict(type='PSNR'), dict(type='SSIM')],
            num_clips=10,
        )
    ]
)
test_evaluator = val_evaluator
