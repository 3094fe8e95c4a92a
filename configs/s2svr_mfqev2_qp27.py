# The same at QP 27.
_base_ = ['s2svr_mfqev2_qp37.py']

train_dataloader = dict(
    dataset=dict(data_prefix=dict(img='train/QP27'), prepare='mfqev2 --degradations qp27')
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img='test/QP27'), prepare='mfqev2 --degradations qp27')
)
test_dataloader = val_dataloader
