# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Available and peak memory of the host and of a device, in bytes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

# Limits of a container and what it uses of them (cgroups 2 and 1); psutil knows the machine alone.
_CONTAINER = (
    ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory.current'),
    ('/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory/memory.usage_in_bytes'),
)


def available_memory(device: torch.device) -> int:
    """Bytes that can still be allocated: on the GPU, or on this machine within its limits."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    return available_host_memory()


def available_host_memory() -> int:
    """Bytes of main memory that this process can still allocate (also within a container)."""
    free = psutil.virtual_memory().available
    for limit, used in _CONTAINER:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue
    if hasattr(psutil, 'RLIMIT_AS'):
        soft = psutil.Process().rlimit(psutil.RLIMIT_AS)[0]
        free = free if soft == psutil.RLIM_INFINITY else min(free, soft)
    return max(free, 0)


def peak_host_memory() -> int:
    """Highest number of bytes of main memory that this process has held."""
    try:
        import resource
    except ImportError:  # Windows, of which psutil knows the peak
        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def peak_device_memory(device: torch.device) -> int:
    """Highest number of bytes that torch has held on a GPU; 0 for a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else 0


def measure_peak(function: Callable[[], object], device: torch.device) -> int:
    """Bytes that torch allocates at most while ``function`` runs, beyond those held before."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    # Or a torch with CUDA complains on a machine without a GPU.
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True, acc_events=True) as profile:
        function()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == '[memory]']
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
