# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import gc
import multiprocessing

import av
import numpy as np
import pytest

import s2svr_mm.io  # noqa: F401


def leave_a_converter() -> None:
    """Leave garbage in a cycle: a frame with a converter of several threads."""
    frame = av.VideoFrame.from_ndarray(np.zeros((720, 1280, 3), np.uint8), format='rgb24')
    frame.reformat(format='yuv420p', threads=4)
    cycle = [frame]
    cycle.append(cycle)


@pytest.mark.skipif(
    'fork' not in multiprocessing.get_all_start_methods(), reason='nothing forks on this system'
)
def test_a_forked_worker_collects_garbage_without_waiting_for_lost_threads():
    gc.collect()
    gc.disable()
    try:
        leave_a_converter()
        worker = multiprocessing.get_context('fork').Process(target=gc.collect)
        worker.start()
    finally:
        gc.enable()
    worker.join(20)
    hangs = worker.is_alive()
    worker.kill()
    assert not hangs
