# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Training stops at the first loss or weight that is not finite."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..checkpoints.files import latest_checkpoint
from ..errors import NonFiniteError


def _describe_samples(data_batch: Any) -> str:
    samples = data_batch.get('data_samples') if isinstance(data_batch, Mapping) else None
    names = []
    for sample in samples if isinstance(samples, list) else []:
        paths = sample.get('img_path') or sample.get('gt_path')
        if isinstance(paths, (list, tuple)) and len(paths) > 1:
            paths = f'{paths[0]} to {paths[-1]}'
        elif isinstance(paths, (list, tuple)) and paths:
            paths = paths[0]
        names.append(str(paths or sample.get('key', 'unnamed')))
    return '\n    '.join(names) or 'unknown'


@HOOKS.register_module()
class StopAtNonFiniteHook(Hook):
    """Stop training at a loss or weight that is NaN or infinite.

    The losses are looked at after every iteration (mmengine has brought them to the CPU by then
    for its log), the weights whenever a checkpoint is about to be written. So no checkpoint ever
    holds such a weight.
    """

    priority = 'ABOVE_NORMAL'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Check the losses.

        Args:
            runner: The runner.
            batch_idx: The iteration, from 0.
            data_batch: What the iteration was fed.
            outputs: Losses by name.

        Raises:
            NonFiniteError: If one of them is not finite.
        """
        losses = {k: v.item() for k, v in (outputs or {}).items() if 'loss' in k}
        if all(math.isfinite(value) for value in losses.values()):
            return
        rates = sorted({rate for group in runner.optim_wrapper.get_lr().values() for rate in group})
        raise NonFiniteError(
            f'training stopped at iteration {runner.iter + 1}: '
            + ', '.join(f'{name} = {value}' for name, value in losses.items())
            + f'\n  learning rate: {", ".join(f"{rate:.3g}" for rate in rates)}'
            + f'\n  samples:\n    {_describe_samples(data_batch)}'
            + f'\n  {self._last_good(runner)}'
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the weights that are about to be saved.

        Args:
            runner: The runner.
            checkpoint: What will be written.

        Raises:
            NonFiniteError: If one of them is not finite.
        """
        bad = [k for k, v in checkpoint['state_dict'].items() if not torch.isfinite(v).all()]
        if bad:
            raise NonFiniteError(
                f'training stopped after iteration {runner.iter + 1}: {len(bad)} weights are not '
                f'finite, the first is {bad[0]}; no checkpoint was written\n'
                f'  {self._last_good(runner)}'
            )

    @staticmethod
    def _last_good(runner: Runner) -> str:
        last = latest_checkpoint(runner.work_dir)
        if last is None:
            return 'no checkpoint has been written yet'
        return f'the last checkpoint, {last}, is as it was: continue from it with --resume'
