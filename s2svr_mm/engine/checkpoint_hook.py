# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Hooks around checkpoints: written whole or not at all, loaded completely or not at all."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmagic.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ..checkpoints.files import POINTER, weights_in
from ..checkpoints.matching import match_weights
from ..errors import CheckpointError, ConfigError
from ..utils.files import PART, AtomicBackend


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Refuse a checkpoint that does not fit the model.

    mmengine leaves out what does not fit and goes on, even if that is everything. In training
    without ``resume`` (fine-tuning) it is enough that some weights fit; the log then lists the
    rest. What the other hooks see, EMAHook above all, has the names of the model and all of its
    weights.
    """

    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the weights that the model gets into the checkpoint.

        Args:
            runner: The runner.
            checkpoint: What the file holds, changed in place.

        Raises:
            CheckpointError: If it does not fit the model.
        """
        training = isinstance(runner._train_loop, BaseLoop)
        source = str(runner._load_from or 'the checkpoint')
        partly = training and not runner._resume
        weights = weights_in(checkpoint, source)
        if runner._resume and not {'meta', 'message_hub'} <= checkpoint.keys():
            raise CheckpointError(
                f'{source} holds weights alone, so there is no training to resume: begin one at '
                f'these weights, without resume and with load_from={source}'
            )
        state, misfit = match_weights(runner.model, weights, source, partly=partly)
        if misfit:
            runner.logger.warning(f'{source} is taken in part, the rest starts anew:\n{misfit}')
        checkpoint['state_dict'] = state


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook for runs that may be killed at any moment.

    A checkpoint and the file ``last_checkpoint`` appear complete or not at all, and older
    checkpoints go only after the new one is on the disk.

    Args:
        interval: Iterations between checkpoints. Default: -1, never.
        by_epoch: Whether ``interval`` counts epochs. Default: False.
        backend_args: Another storage backend of mmengine, whose own guarantees then hold.
            Default: None, the local :class:`AtomicBackend`.
        **kwargs: Further arguments of :class:`mmengine.hooks.CheckpointHook`.
    """

    keep_ckpt_ids: deque[int]

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = False,
        backend_args: dict | None = None,
        **kwargs: Any,
    ) -> None:
        backend_args = backend_args or dict(backend='atomic')
        super().__init__(interval, by_epoch, backend_args=backend_args, **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder and clear away what an interrupted save has left.

        Args:
            runner: The runner.
        """
        super().before_train(runner)
        if is_main_process():
            for part in Path(self.out_dir).glob(f'*.pth.*{PART}'):
                part.unlink(missing_ok=True)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = []
        if self.max_keep_ckpts > 0:
            kept = [*(kept for kept in self.keep_ckpt_ids if kept != step), step]
            outdated = kept[: -self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts :], self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            filename,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            AtomicBackend().put_text(self.last_ckpt, os.path.join(runner.work_dir, POINTER))
            for old in outdated:
                path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
                if self.file_backend.isfile(path):
                    self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        for name in self.save_best or []:
            if name != 'auto' and name not in metrics:
                raise ConfigError(
                    f'default_hooks.checkpoint.save_best={name!r}, but validation reports '
                    f'{", ".join(map(repr, metrics))}: name one of these, or None'
                )
        with self._removing_afterwards():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_afterwards(self) -> Iterator[None]:
        """Put off what mmengine removes before it has saved the replacement."""
        outdated: list[str] = []
        self.file_backend.remove = outdated.append
        try:
            yield
        finally:
            del self.file_backend.remove
        for path in outdated:
            self.file_backend.remove(path)
