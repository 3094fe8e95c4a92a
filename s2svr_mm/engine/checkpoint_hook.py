# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Checkpoints that are whole or not there: writing, finding and checking them."""

import io
import os
import re
import shutil
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmagic.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch import Tensor, nn

from s2svr_mm.compat import CheckpointError

_PART = '.part'
_POINTER = 'last_checkpoint'


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that appear complete or not at all."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write ``obj`` beside ``filepath`` and move it there once it is on the disk.

        Args:
            obj: What to write.
            filepath: Where to write it; folders are made, an older file is replaced.

        Raises:
            OSError: If it can't be written, for instance with no space left. An older file of
                that name is then untouched and nothing else remains.
        """
        path = Path(filepath)
        part = path.with_name(f'{path.name}.{os.getpid()}{_PART}')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(part, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
            raise OSError(
                error.errno,
                f'{error.strerror}: {len(obj) / 2**20:.1f} MB could not be written '
                f'({free / 2**20:.1f} MB free); files written before are as they were',
                str(path),
            ) from error

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = 'utf-8') -> None:
        """Write text as :meth:`put` does.

        Args:
            obj: What to write.
            filepath: Where to write it.
            encoding: Its encoding.
        """
        self.put(obj.encode(encoding), filepath)


def save_weights(state_dict: Mapping[str, Tensor], path: str | os.PathLike) -> None:
    """Write a checkpoint of weights alone, whole or not at all.

    Args:
        state_dict: The weights.
        path: Where to, as :meth:`AtomicBackend.put`.
    """
    buffer = io.BytesIO()
    torch.save({'state_dict': state_dict}, buffer)
    AtomicBackend().put(buffer.getvalue(), path)


def checkpoint_fault(path: str | os.PathLike) -> str | None:
    """Say what keeps a file from being a whole checkpoint.

    Args:
        path: A file that should have been written by ``torch.save``.

    Returns:
        The fault in a few words, or None if the file is whole. Every byte is checked.
    """
    if not os.path.isfile(path):
        return 'is not there'
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = archive.namelist()
    except (zipfile.BadZipFile, EOFError, OSError):
        return 'is damaged or cut short'
    if damaged is not None:
        return f'is damaged (in its part {damaged})'
    if not any(name.endswith('data.pkl') for name in names):
        return 'is not a checkpoint'
    return None


def latest_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """Find the last whole checkpoint of a training run.

    It is the one that ``last_checkpoint`` names, also when the folder was moved since. If that one
    is missing or damaged, it is the whole one of the highest iteration, and a warning names both.

    Args:
        work_dir: The run's folder.

    Returns:
        Its path, or None if the folder holds no checkpoint.

    Raises:
        CheckpointError: If there are checkpoints and none of them is whole.
    """
    work_dir = Path(work_dir)
    pointer = work_dir / _POINTER
    named = pointer.read_text().strip() if pointer.is_file() else ''
    preferred = Path(named) if os.path.isfile(named) else work_dir / Path(named or 'none').name
    if checkpoint_fault(preferred) is None:
        return preferred
    found = [
        (int(match[1]), path)
        for path in work_dir.glob('*.pth')
        if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', path.name))
    ]
    if not found:
        if named:
            raise CheckpointError(f'{pointer} names {named}, which {checkpoint_fault(preferred)}')
        return None
    for _, path in sorted(found, reverse=True):
        if checkpoint_fault(path) is None:
            reason = f'{preferred} {checkpoint_fault(preferred)}' if named else f'{pointer} is gone'
            print_log(f'{reason}: {path} is taken instead', 'current', level=30)
            return path
    raise CheckpointError(
        f'no checkpoint in {work_dir} is whole: '
        + '; '.join(f'{path.name} {checkpoint_fault(path)}' for _, path in sorted(found))
    )


def _shortened(lines: Sequence[str], limit: int = 4) -> str:
    rest = len(lines) - limit
    return ', '.join(lines[:limit]) + (f' and {rest} more' if rest > 0 else '')


def check_fit(
    model: nn.Module, checkpoint: Mapping[str, Any], source: str, partly: bool = False
) -> str | None:
    """Check that a checkpoint belongs to a model.

    Args:
        model: The model.
        checkpoint: What the file holds: a state dict, or a dict with ``state_dict``.
        source: The file's name, for the message.
        partly: Whether it is enough that some of the weights fit (for fine-tuning).

    Returns:
        None if all fits. Otherwise, and only with ``partly``, what does not.

    Raises:
        CheckpointError: With missing and unexpected keys and those of another shape. Counters
            (buffers of a single element) may be missing.
    """
    if is_model_wrapper(model):
        model = model.module
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(hasattr(v, 'shape') for v in state.values()):
        raise CheckpointError(f'{source} holds no state dict of a model')
    given = {re.sub(r'^module\.', '', key): tuple(value.shape) for key, value in state.items()}
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    counters = {key for key, buffer in model.named_buffers() if buffer.numel() == 1}

    missing = [key for key in wanted if key not in given and key not in counters]
    unexpected = [key for key in given if key not in wanted]
    misshaped = [
        f'{key} {given[key]} instead of {wanted[key]}'
        for key in wanted
        if key in given and given[key] != wanted[key]
    ]
    if not (missing or unexpected or misshaped):
        return None
    fitting = sum(given.get(key) == shape for key, shape in wanted.items())
    problems = (('missing', missing), ('unexpected', unexpected), ('of another shape', misshaped))
    listed = [f'  {len(keys)} {name}: {_shortened(keys)}' for name, keys in problems if keys]
    misfit = '\n'.join([*listed, f'  {fitting} of {len(wanted)} fit'])
    if partly and fitting > 0:
        return misfit
    raise CheckpointError(
        f'{source} does not fit {type(model).__name__} as the config builds it:\n{misfit}. Use the '
        'config that the checkpoint was trained with, options included: each run keeps its own in '
        '<work dir>/<time of its start>/vis_data/config.py, and s2svr://NAME goes with '
        'configs/NAME.py. For weights of the official release see tools/convert_weights.py'
    )


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook for runs that may be killed at any moment.

    A checkpoint and the file ``last_checkpoint`` appear complete or not at all, older checkpoints
    go only after the new one is on the disk, and a checkpoint that does not fit the model is
    refused. In training without ``resume`` (fine-tuning) it is enough that some weights fit; the
    log then lists the rest.

    Args:
        interval: Iterations between checkpoints. Default: -1, never.
        by_epoch: Whether ``interval`` counts epochs. Default: False.
        backend_args: Another storage backend of mmengine, whose own guarantees then hold.
            Default: None, the local :class:`AtomicBackend`.
        **kwargs: Further arguments of :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = False,
        backend_args: dict | None = None,
        **kwargs,
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
            for part in Path(self.out_dir).glob(f'*.pth.*{_PART}'):
                part.unlink(missing_ok=True)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse a checkpoint that does not fit the model.

        Args:
            runner: The runner.
            checkpoint: What the file holds.
        """
        training = isinstance(runner._train_loop, BaseLoop)
        source = str(runner._load_from or 'the checkpoint')
        partly = training and not runner._resume
        if misfit := check_fit(runner.model, checkpoint, source, partly):
            runner.logger.warning(f'{source} is taken in part, the rest starts anew:\n{misfit}')

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
            AtomicBackend().put_text(self.last_ckpt, os.path.join(runner.work_dir, _POINTER))
            for old in outdated:
                path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
                if self.file_backend.isfile(path):
                    self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        for name in self.save_best or []:
            if name != 'auto' and name not in metrics:
                raise ValueError(
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
