# Clean clips that are degraded while they are loaded; a config on top says how.
_base_ = ['flow_clips.py']

crop = dict(type='FixedCrop', keys=['gt'], crop_size=(192, 192))
flips = [
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='vertical'),
]
load_pair = [dict(type='LoadClip'), dict(type='LoadFlow')]
pack_pair = dict(type='PackInputs', data_keys=['gt_flow', 'gt_valid', 'gt_visible', 'gt_clean'])

train_dataloader = dict(
    dataset=dict(data_prefix=dict(_delete_=True, gt='train/gt'), num_input_frames=2)
)
