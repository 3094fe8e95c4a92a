# The same with Gaussian blur and sampling in place of bicubic.
_base_ = ['vimeo90k_bi.py']

train_dataloader = dict(dataset=dict(data_prefix=dict(img='BDx4')))
val_dataloader = dict(dataset=dict(data_prefix=dict(img='BDx4')))
test_dataloader = val_dataloader
