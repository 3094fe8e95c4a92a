# DVD for deblurring at full size, RGB: 61 clips to train on, 10 to test.
_base_ = ['gopro.py']

dvd = dict(data_root='data/DVD', prepare='dvd')
train_dataloader = dict(dataset=dvd)
val_dataloader = dict(dataset=dvd)
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[dict(type='PerClip', metrics=[dict(type='PSNR'), dict(type='SSIM')], num_clips=10)]
)
test_evaluator = val_evaluator
