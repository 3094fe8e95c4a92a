# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Time, peak memory, multiply-adds and the arithmetic peak, as the benchmark measures them."""

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from s2svr_mm.cli.workers import usable_cores
from s2svr_mm.restoration.predictor import Predictor
from s2svr_mm.utils.devices import computes_bfloat16
from s2svr_mm.utils.memory import measure_peak

# What says how fast a CPU computes.
_CPU_FLAGS = (
    'avx',
    'avx2',
    'fma',
    'avx512f',
    'avx512_bf16',
    'avx512_vnni',
    'amx_tile',
    'amx_bf16',
    'asimd',
    'bf16',
)
_CLEAR_REFS = Path('/proc/self/clear_refs')


def seconds_of(function: Callable[[], object], device: torch.device) -> float:
    """Time one run; on a GPU between two CUDA events.

    Args:
        function (Callable): What to run.
        device (torch.device): Where it computes.

    Returns:
        float: Seconds.
    """
    if device.type != 'cuda':
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    start.record()
    function()
    end.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1e3


def peak_memory_of(function: Callable[[], object], device: torch.device) -> int:
    """Measure the memory of one run, apart from any timing.

    On a GPU it is what torch allocates. On a CPU it is the resident set of the process, so that the
    scratch memory of libraries counts too. Freed memory is returned to the system first, which on a
    virtual machine makes the run itself slow: never time it.

    Args:
        function (Callable): What to run.
        device (torch.device): Where it computes.

    Returns:
        int: Bytes held at most beyond those held before.
    """
    before = _restart_resident_peak() if device.type == 'cpu' else None
    if before is None:
        return measure_peak(function, device)
    function()
    return _resident('VmHWM') - before


def memory_is(device: torch.device) -> str:
    """In words, what the figures of memory count."""
    if device.type == 'cuda':
        return 'allocated by torch on the GPU'
    return 'resident set' if _restart_resident_peak() is not None else 'allocated by torch'


def _restart_resident_peak() -> int | None:
    """Make the kernel forget the peak of the resident set; return the set in bytes.

    What earlier runs have freed is handed back first, or a run could use it unseen. None where
    the kernel is no Linux or does not let us (proc(5): /proc/pid/clear_refs, value 5).
    """
    if not sys.platform.startswith('linux'):
        return None
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is None:
        return None
    trim(0)
    try:
        _CLEAR_REFS.write_text('5')
        return _resident('VmRSS')
    except OSError:
        return None


def _resident(field: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


class ConvolutionPeak:
    """The arithmetic peak: a lone 3x3 convolution of 64 to 64 channels, channels_last.

    Args:
        size (tuple[int, int]): Height and width of the frames. Several of them are
            computed if they are small, 2^14 pixels or more on a CPU and 2^20 on a GPU, for the
            time of fewer is not that of the arithmetic; nor, on a CPU, is that of many more, which
            no cache holds.
        dtype (torch.dtype): Type of maps and weights.
        device (torch.device): Where to compute.
    """

    def __init__(self, size: tuple[int, int], dtype: torch.dtype, device: torch.device) -> None:
        least = 2**14 if device.type == 'cpu' else 2**20
        frames = -(-least // (size[0] * size[1]))
        make = dict(device=device, dtype=dtype)
        layout = torch.channels_last
        self._maps = torch.rand(frames, 64, *size, **make).to(memory_format=layout)
        self._weight = torch.randn(64, 64, 3, 3, **make).to(memory_format=layout)
        self._flops = 2 * frames * size[0] * size[1] * 64 * 64 * 9
        self._device = device
        self.dtype = dtype
        self.best = 0.0
        """Most operations a second so far; a multiply-add is two."""

    def measure(self, runs: int = 5) -> float:
        """Measure once more.

        Args:
            runs (int): How many runs. Defaults to 5.

        Returns:
            float: Operations a second of the quickest run of this call.
        """

        def convolve() -> Tensor:
            return F.conv2d(self._maps, self._weight, padding=1)

        with torch.inference_mode():
            seconds = min(seconds_of(convolve, self._device) for _ in range(runs + 1))
        self.best = max(self.best, self._flops / seconds)
        return self._flops / seconds


def describe_machine(device: torch.device) -> dict[str, object]:
    """Return what the figures were measured on.

    Args:
        device (torch.device): Where the networks run.

    Returns:
        dict: Model of the CPU, its flags of weight, usable cores, memory, GPU, versions, threads.
    """
    import mmagic
    import mmcv

    model, flags = platform.processor() or platform.machine(), []
    if Path('/proc/cpuinfo').is_file():
        info = dict(
            (part.strip() for part in line.split(':', 1))
            for line in Path('/proc/cpuinfo').read_text().splitlines()
            if ':' in line
        )
        model = info.get('model name', model)
        found = info.get('flags', info.get('Features', '')).split()
        flags = [flag for flag in _CPU_FLAGS if flag in found]
    machine: dict[str, object] = {
        'cpu': model,
        'cores': usable_cores(),
        'cpu flags': flags,
        'threads': torch.get_num_threads(),
        'memory GiB': round(
            os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30,
            1,
        ),
        'load at the start': round(os.getloadavg()[0], 2),
        'system': f'{platform.system()} {platform.release()}',
        'python': platform.python_version(),
        'torch': torch.__version__,
        'mmcv': mmcv.__version__,
        'mmagic': mmagic.__version__,
    }
    if device.type == 'cuda':
        machine |= {
            'gpu': torch.cuda.get_device_name(device),
            'gpu memory GiB': round(torch.cuda.mem_get_info(device)[1] / 2**30, 1),
            'cuda': torch.version.cuda,
            'cudnn': torch.backends.cudnn.version(),
            'tf32': torch.backends.cudnn.allow_tf32,
        }
    return machine


def backends_of(predictor: Predictor) -> list[tuple[str, str]]:
    """List what can compute a network on this processor.

    Args:
        predictor (Predictor): The network, on the CPU.

    Returns:
        list[tuple[str, str]]: Back end and type, torch's float32 first. bfloat16 is among them
        where the processor has instructions for it; emulated, it would take most of the time.
    """
    found = [('torch', 'float32')]
    if computes_bfloat16(torch.device('cpu')):
        found.append(('torch', 'bfloat16'))
    for dtype in ('float32', 'int8'):
        found += [(name, dtype) for name in predictor.usable_backends(dtype) if name != 'torch']
    return found
