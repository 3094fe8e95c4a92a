# The clips that demo/demo.py prepares; patches of 32 x 32, enlarged to 128 x 128.
_base_ = ['clips.py']

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='PairedRandomCrop', gt_patch_size=128),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    num_workers=1,
    batch_size=1,
    dataset=dict(data_root='data/demo', prepare=None, num_input_frames=3, pipeline=train_pipeline),
)
val_dataloader = dict(num_workers=0, dataset=dict(data_root='data/demo', prepare=None))
test_dataloader = val_dataloader
