# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How far a training has come."""

from mmengine.logging import MessageHub


class IterationCounter:
    """Count iterations: the runner's count while one is training, else that of its calls.

    It is no part of a checkpoint: fine-tuning from one starts at 0, and resuming continues.
    """

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self) -> int:
        """Count one iteration more.

        Returns:
            int: Iterations done before this one.
        """
        done = self._calls
        self._calls += 1
        hub = MessageHub.get_current_instance()
        return hub.get_info('iter') if hub.get_info('loop_stage') == 'train' else done
