# REDS for x4 super-resolution, RGB: REDS4 (000, 011, 015, 020) is kept for validation.
_base_ = ['paired_clips.py']

reds = dict(
    data_root='data/REDS',
    data_prefix=dict(img='train_sharp_bicubic/X4', gt='train_sharp'),
    prepare='reds',
    scale=4,
)
train_dataloader = dict(
    dataset=dict(ann_file='meta_info_reds4_train.txt', num_input_frames=15, **reds)
)
val_dataloader = dict(dataset=dict(ann_file='meta_info_reds4_val.txt', **reds))
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[
        dict(
            type='PerClip',
            metrics=[dict(type='PSNR'), dict(type='SSIM')],
            num_clips=4,
            num_frames=400,
        )
    ]
)
test_evaluator = val_evaluator
