# The same at QP 32.
_base_ = ['s2svr_mfqev2_qp37.py']

train_dataloader = dict(
    dataset=dict(data_prefix=dict(img='train/QP32'), prepare='mfqev2 --degradations qp32')
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img='test/QP32'), prepare='mfqev2 --degradations qp32')
)
test_dataloader = val_dataloader
