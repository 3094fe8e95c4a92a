# mmagic's BasicVSR++ on the data of s2svr_reds in clips of 30 frames, with mmagic's schedule.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/basicvsr_pp.py',
    '../_base_/datasets/reds.py',
    '../_base_/schedules/adam_cosine.py',
]

# 8 clips a step, say 8 GPUs with one each.
train_dataloader = dict(batch_size=1, dataset=dict(num_input_frames=30))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'spynet': dict(lr_mult=0.25)}))

# While SPyNet is frozen it gets no gradient.
find_unused_parameters = True
