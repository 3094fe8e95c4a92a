# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Resuming follows the schedule of the config, even if it differs from the checkpoint's."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ..errors import ConfigError

# How far a scheduler has come; all else in its state says what it does.
_PROGRESS = {'last_step', '_global_step', '_last_value', 'verbose'}


@HOOKS.register_module()
class ResumeScheduleHook(Hook):
    """Follow the schedule of the config when a run is resumed.

    mmengine's schedulers take over their whole state from a checkpoint, length and base rates
    included: with more iterations or another rate, the old schedule's last rate would hold for
    ever. Here the schedulers of the config are advanced to the resumed iteration, as if they had
    been followed from the beginning, unless the config's schedule is the one of the checkpoint,
    whose state is then taken as it is. The log says which of the two holds.
    """

    priority = 'HIGH'  # after StrictLoadHook, which refuses what cannot be resumed

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the state from which the schedules continue into the checkpoint.

        Args:
            runner: The runner.
            checkpoint: What the file holds, changed in place.

        Raises:
            ConfigError: If another schedule is asked for that depends on validation, or the
                optimizer groups its parameters in another way.
        """
        if not runner._resume or not isinstance(runner._train_loop, BaseLoop):
            return
        iteration, epoch = checkpoint['meta']['iter'], checkpoint['meta']['epoch']
        for optimizer, schedulers, saved, saved_schedulers in _parts(runner, checkpoint):
            _check_groups(optimizer, saved)
            changes = _changes(optimizer, schedulers, saved, saved_schedulers)
            if changes:
                _advance(schedulers, iteration, epoch)
                saved_schedulers[:] = [scheduler.state_dict() for scheduler in schedulers]
                _keep_rates(optimizer, schedulers, saved)
                runner.logger.warning(
                    f'resumed with another schedule than the checkpoint had ({changes}): that of '
                    f'the config is followed from iteration {iteration} on, as if it had been from '
                    f'the beginning; learning rate {_rates(optimizer)}'
                )
            else:
                runner.logger.info('resumed with the schedule of the checkpoint and the config')
            for text in _other_settings(optimizer, schedulers, saved):
                runner.logger.warning(f'{text}: begin a new run (load_from) to change that')


def _parts(
    runner: Runner, checkpoint: dict
) -> Iterator[tuple[OptimWrapper, Sequence[_ParamScheduler], dict, list]]:
    """Each optimizer with its schedulers, and what the checkpoint has of both."""
    saved = checkpoint.get('optimizer')
    if saved is None:
        return
    schedulers: Any = runner.param_schedulers or []
    if isinstance(runner.optim_wrapper, OptimWrapper):
        yield runner.optim_wrapper, schedulers, saved, checkpoint.setdefault('param_schedulers', [])
        return
    saved_schedulers = checkpoint.setdefault('param_schedulers', {})
    for name, optimizer in runner.optim_wrapper.items():
        own = schedulers[name] if isinstance(schedulers, Mapping) else schedulers
        yield optimizer, own, saved[name], saved_schedulers.setdefault(name, [])


def _groups(optimizer: OptimWrapper, saved: dict) -> list[tuple[dict, dict]]:
    """Pairs of a group of parameters and the same one in the checkpoint."""
    groups = [*saved['param_groups'], *filter(None, [saved.get('base_param_settings')])]
    return list(zip(optimizer.param_groups, groups, strict=False))


def _check_groups(optimizer: OptimWrapper, saved: dict) -> None:
    ours, theirs = (
        [len(group['params']) for group in groups]
        for groups in (optimizer.optimizer.param_groups, saved['param_groups'])
    )
    if ours != theirs:
        raise ConfigError(
            f'the optimizer of the checkpoint has {len(theirs)} groups of parameters, with '
            f'{sum(theirs)} in all, that of the config {len(ours)} with {sum(ours)}: '
            'paramwise_cfg or the model differ. Resume with those of the checkpoint, or begin a '
            'new run with load_from'
        )


def _changes(
    optimizer: OptimWrapper,
    schedulers: Sequence[_ParamScheduler],
    saved: dict,
    saved_schedulers: Sequence[dict],
) -> str:
    """Describe how the schedule of the config differs from that of the checkpoint."""
    if len(schedulers) != len(saved_schedulers):
        return f'{len(saved_schedulers)} schedulers -> {len(schedulers)}'
    if not schedulers:
        rates = {(old['lr'], new['lr']) for new, old in _groups(optimizer, saved)}
        return ', '.join(f'lr {old:g} -> {new:g}' for old, new in sorted(rates) if old != new)
    found = []
    for scheduler, state in zip(schedulers, saved_schedulers, strict=True):
        own = scheduler.state_dict()
        for key in sorted((own.keys() | state.keys()) - _PROGRESS):
            if own.get(key) != state.get(key):
                name = f'{type(scheduler).__name__}.{key}'
                found.append(f'{name} {state.get(key)} -> {own.get(key)}')
    return ', '.join(found)


def _advance(schedulers: Sequence[_ParamScheduler], iterations: int, epochs: int) -> None:
    """Bring schedulers to where they would be after so many iterations."""
    if any(getattr(scheduler, 'need_val_args', False) for scheduler in schedulers):
        raise ConfigError(
            'a schedule that depends on validation cannot be changed when a run is resumed: '
            'resume with the settings of the checkpoint, or begin a new run with load_from'
        )
    length = iterations // epochs if epochs else 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer has not stepped
        for iteration in range(1, iterations + 1):
            for scheduler in schedulers:
                if not scheduler.by_epoch or (length and iteration % length == 0):
                    scheduler.step()


def _scheduled(schedulers: Sequence[_ParamScheduler]) -> set[str]:
    names = {'lr', *(scheduler.param_name for scheduler in schedulers)}
    return names | {f'initial_{name}' for name in names}


def _keep_rates(
    optimizer: OptimWrapper, schedulers: Sequence[_ParamScheduler], saved: dict
) -> None:
    """Let the checkpoint's optimizer go on at the rates of the config's schedule."""
    for group, old in _groups(optimizer, saved):
        old.update({name: group[name] for name in _scheduled(schedulers) if name in group})


def _rates(optimizer: OptimWrapper) -> str:
    rates = {group['lr'] for group in optimizer.optimizer.param_groups}
    return ', '.join(f'{rate:.4g}' for rate in sorted(rates))


def _other_settings(
    optimizer: OptimWrapper, schedulers: Sequence[_ParamScheduler], saved: dict
) -> list[str]:
    """Name the settings of the optimizer in which the checkpoint's overrule the config's."""
    found = {}
    for group, old in _groups(optimizer, saved):
        for name in (group.keys() & old.keys()) - _scheduled(schedulers) - {'params'}:
            if group[name] != old[name] and optimizer.optimizer.defaults.get(name) is not None:
                found[name] = f'{name} stays {old[name]}, as in the checkpoint, not {group[name]}'
    return [found[name] for name in sorted(found)]
