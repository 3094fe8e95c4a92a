# The same at QP 22.
_base_ = ['s2svr_mfqev2_qp37.py']

train_dataloader = dict(
    dataset=dict(data_prefix=dict(img='train/QP22'), prepare='mfqev2 --degradations qp22')
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img='test/QP22'), prepare='mfqev2 --degradations qp22')
)
test_dataloader = val_dataloader
