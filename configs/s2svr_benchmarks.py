# S2SVR on the test sets of x4 super-resolution, to test with; nothing is trained.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/benchmarks.py',
]
