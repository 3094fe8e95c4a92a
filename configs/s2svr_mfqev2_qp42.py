# The same at QP 42.
_base_ = ['s2svr_mfqev2_qp37.py']

train_dataloader = dict(
    dataset=dict(data_prefix=dict(img='train/QP42'), prepare='mfqev2 --degradations qp42')
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img='test/QP42'), prepare='mfqev2 --degradations qp42')
)
test_dataloader = val_dataloader
