# As clips_real_x2.py, at a quarter of the size.
_base_ = ['clips_real_x2.py']

down = dict(type='BicubicDownsample', scale=4)
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(280, 280)),
    # By up to 3 pixels a frame: of the 12 at each side, none is left.
    dict(type='AddMotion', prob=0.5),
    _base_.take_gt,
    # Frames are four times as large as what they become: twice as soft is as soft.
    _base_.soft,
    _base_.soft,
    down,
    _base_.sent,
    *_base_.flips,
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))


def smaller(loader):
    load, _, *others = loader['dataset']['pipeline']
    return dict(loader, dataset=dict(loader['dataset'], pipeline=[load, down, *others]))


val_dataloader = [smaller(loader) for loader in _base_.val_dataloader]
test_dataloader = val_dataloader
