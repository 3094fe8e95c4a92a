# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import torch

from s2svr_mm.utils.memory import available_host_memory, measure_peak, peak_host_memory

CPU = torch.device('cpu')
# Names of modules that Windows does not have.
POSIX = 'fcntl', 'resource', 'pwd', 'grp', 'termios', 'posix'
EVERYTHING = """
import importlib, os, pkgutil, sys
os.environ['S2SVR_MM_REGISTER'] = '0'
from s2svr_mm.compat.mmcv_ops import provide_ops
provide_ops()
import psutil, mmagic.models, mmagic.datasets, mmagic.evaluation  # which may use what they like
for name in {hidden}:
    sys.modules[name] = None
for name in [name for name in sys.modules if name.split('.')[0] == 's2svr_mm']:
    del sys.modules[name]
os.environ['S2SVR_MM_REGISTER'] = '1'
import s2svr_mm
names = [m.name for m in pkgutil.walk_packages(s2svr_mm.__path__, 's2svr_mm.')]
for name in names:
    if not name.endswith('__main__'):
        importlib.import_module(name)
print(len(names))
"""


def test_available_memory_is_no_more_than_the_machine_has():
    assert 0 < available_host_memory() <= psutil.virtual_memory().total


def test_peak_is_what_the_process_held():
    before = peak_host_memory()
    assert before >= psutil.Process().memory_info().rss // 2
    held = np.ones(64 * 2**20, np.uint8)
    assert peak_host_memory() >= psutil.Process().memory_info().rss * 0.9
    del held
    assert peak_host_memory() >= before


def test_peak_of_a_function():
    assert measure_peak(lambda: torch.ones(1000, 1000) + 1, CPU) in range(8 * 10**6, 9 * 10**6)


def test_everything_imports_without_the_modules_of_posix():
    """As on Windows: whatever is needed of them is asked for where it is used."""
    script = EVERYTHING.format(hidden=POSIX[:2])
    output = subprocess.check_output([sys.executable, '-c', script], text=True)
    package = Path(__file__).parents[2] / 's2svr_mm'
    modules = [p for p in package.rglob('*.py') if p.parent != package or p.name != '__init__.py']
    assert int(output.split()[-1]) == len(modules)
