# A person's own clips, two folders each for training and validation: `train/lq`, `train/gt`,
# `val/lq`, `val/gt` (folders of frames, videos or raw YUV files; counterparts have one name).
_base_ = ['paired_clips.py']

clips = dict(data_root='data/clips', prepare='clips', scale=4)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(data_prefix=dict(img='train/lq', gt='train/gt'), num_input_frames=7, **clips),
)
val_dataloader = dict(dataset=dict(data_prefix=dict(img='val/lq', gt='val/gt'), **clips))
test_dataloader = val_dataloader

val_evaluator = dict(metrics=[dict(type='PSNR', convert_to='Y'), dict(type='SSIM', convert_to='Y')])
test_evaluator = val_evaluator
