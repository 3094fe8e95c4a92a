# Student for deblurring: every second frame, each exposed for as long as the time between them.
_base_ = ['flow_student_compress.py']

train_pipeline = [
    dict(type='LoadClip'),
    _base_.crop,
    *_base_.flips,
    dict(type='AverageMotionBlur', num_frames=3, stride=2, in_between=7),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    dataset=dict(num_input_frames=5, interval_list=[1], pipeline=train_pipeline)
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load_pair,
            dict(type='PairMotionBlur', exposure=1.0),
            _base_.pack_pair,
        ]
    )
)
test_dataloader = val_dataloader
