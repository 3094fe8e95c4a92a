# mmagic's BasicVSR on the test sets of x4 super-resolution, to test with; nothing is trained.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/basicvsr.py',
    '../_base_/datasets/benchmarks.py',
]

# The checkpoint has SPyNet's weights too.
model = dict(generator=dict(spynet_pretrained=None))
