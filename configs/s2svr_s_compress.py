# A small S2SVR for compressed video, x265 at QP 27 to 42, for hours on a CPU. It works on squares
# of two by two pixels, at a quarter of the cost, and has a branch that sees how the aligned
# neighbours of a frame differ from it: what compression took is small beside the picture, and
# without the branch no neighbour is ever used. A last stage may train the flow along, as that of
# the weights did (s2svr_mm/weights/README.md). It learns from good clips alone, data/clips/train/gt
# (docs/train.md).
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s_same_size.py',
    '_base_/datasets/clips_compressed.py',
    '_base_/schedules/hours.py',
]

model = dict(generator=dict(detail_branch=dict(aligned=4)))

train_pipeline = [
    dict(type='LoadClip'),
    # By up to 3 pixels a frame: of the 15 at each side, none is left.
    dict(type='FixedCrop', keys=['gt'], crop_size=(126, 126)),
    dict(type='AddMotion', prob=0.9, min_motion=0.3),
    dict(type='CompressVideo', qp=[27, 32, 37, 37, 42]),
    # Compressed alone, small patches would have more of what comes in over the border.
    dict(type='FixedCrop', keys=['img', 'gt'], crop_size=(64, 64)),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(num_input_frames=11, pipeline=train_pipeline),
)

default_hooks = dict(checkpoint=dict(interval=250))
