# mmagic's IconVSR on the test sets of x4 super-resolution, to test with; nothing is trained.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/iconvsr.py',
    '../_base_/datasets/benchmarks.py',
]

# The checkpoint has SPyNet's and EDVR's weights too. One from Vimeo-90K needs
# --cfg-options model.generator.padding=3
model = dict(generator=dict(spynet_pretrained=None, edvr_pretrained=None))
