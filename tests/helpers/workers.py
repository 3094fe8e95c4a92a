# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Processes that restore one output together."""

import gc
import multiprocessing
import os
import time

from torch import nn

from s2svr_mm.errors import S2SVRError
from s2svr_mm.restoration.checks import Target
from s2svr_mm.restoration.claims import Worker
from s2svr_mm.restoration.options import OutputOptions
from s2svr_mm.restoration.restore_video import Source, restore_source
from s2svr_mm.utils.output_state import OutputState

from .restoring import restorer_of

REFUSED = 7


class Slow(nn.Module):
    """Darkens frames, and takes its time for it."""

    def __init__(self, seconds=0.0):
        super().__init__()
        self.seconds = seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return 0.5 * x


def work(
    src,
    dst,
    worker,
    seconds=0.0,
    network=None,
    size_change='stop',
    full_disk=False,
    before=None,
    **options,
):
    """Restore in this process, as one of several."""
    if full_disk:
        fill_disk()
    return restore_source(
        Source(str(src), size_change=size_change),
        Target.of(dst),
        restorer_of(network or Slow(seconds)),
        OutputOptions(**{'segment': 4, **options}),
        progress=False,
        worker=worker,
        before=before,
    )


def fill_disk():
    """Let the second segment that this process finishes find no space."""
    import errno

    from s2svr_mm.io.segments import SegmentEncoder

    real, calls = SegmentEncoder.finish, []

    def finish(self):
        calls.append(self)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, 'No space left on device')
        real(self)

    SegmentEncoder.finish = finish


def _main(log, args, kwargs):
    gc.freeze()  # see _tool_process
    try:
        summary = work(*args, **kwargs)
    except S2SVRError as error:
        log.write_text(str(error))
        os._exit(REFUSED)
    log.write_text(str(summary))


def start(src, dst, rank=0, count=1, **kwargs):
    """Start a worker; what it returns or is refused with is in the file ``log`` of the process."""
    context = multiprocessing.get_context('forkserver')
    log = dst.with_name(f'{dst.name}.{rank}.log')
    # As the command line does, before the time that it takes to start.
    kwargs.setdefault('before', OutputState.of(dst))
    args = (log, (src, dst, Worker(rank, count)), kwargs)
    process = context.Process(target=_main, args=args, daemon=True)
    process.start()
    process.log = log
    return process


def together(src, dst, count, **kwargs):
    """Restore with so many workers; returns their exit codes and what they say."""
    before = OutputState.of(dst)
    processes = [start(src, dst, rank, count, before=before, **kwargs) for rank in range(count)]
    for process in processes:
        process.join(120)
    return [p.exitcode for p in processes], [p.log.read_text() for p in processes]
