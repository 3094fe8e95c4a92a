# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Checkpoints that are read without running any code in them."""

import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from ..errors import CheckpointError
from ..utils.files import AtomicBackend

_POINTER = 'last_checkpoint'

_HISTORY_METHODS = ('min', 'max', 'current', 'mean')


def _history_buffer_attribute(owner: Any, name: str) -> Callable:
    """Stand in for ``getattr`` in a checkpoint, for the methods that a HistoryBuffer names."""
    from mmengine.logging import HistoryBuffer

    if owner is HistoryBuffer and name in _HISTORY_METHODS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed in a checkpoint')


def register_safe_globals() -> None:
    """Let ``torch.load(..., weights_only=True)`` read what mmengine's checkpoints hold.

    Beside tensors these are the training log (HistoryBuffer) and NumPy scalars and arrays. A
    HistoryBuffer names four of its own methods through ``getattr``, which is answered for these
    alone: the real ``getattr`` would undo the safety of ``weights_only``.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer

    multiarray = np.core.multiarray
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_history_buffer_attribute, 'builtins.getattr'),
            multiarray._reconstruct,
            multiarray.scalar,
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in np.typecodes['All']},
        ]
    )


def load_checkpoint_file(filename: str | os.PathLike, map_location: Any = 'cpu') -> Any:
    """Read a checkpoint without running any code that it may carry.

    Args:
        filename: A file written by ``torch.save``.
        map_location: Same as in :func:`torch.load`.

    Returns:
        What the file holds, as a rule a dict with ``state_dict``.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file asks for anything beyond tensors, containers and mmengine's
            training log, is cut short, or is no checkpoint at all.
    """
    import torch

    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no checkpoint at {path}')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        # torch wraps the short reason in advice that does not fit here
        reason = str(error.__context__ or error).split('. ')[0].rstrip('.')
        raise CheckpointError(
            f'{path} was refused ({reason}): a checkpoint needs tensors, containers and a training '
            'log; anything else could run code (none was run). If you trust where the file comes '
            "from, load it there and save its weights alone: torch.save({'state_dict': ...}, file)"
        ) from None
    except PermissionError:
        raise
    except Exception as error:  # what a damaged file leads to depends on where it is damaged
        reason = f'{type(error).__name__}: {error}'.split('. ')[0]
        raise CheckpointError(
            f'{path} cannot be read as a checkpoint ({reason}): if saving or copying it was '
            'interrupted, take an earlier one or copy it again'
        ) from error


def load_from_local(filename: str, map_location: Any) -> Any:
    """Loader for mmengine, which logs a loader by the end of its name ('local')."""
    return load_checkpoint_file(filename, map_location)


def register_checkpoint_loader() -> None:
    """Make mmengine read local checkpoints (load, resume, init_cfg) by load_checkpoint_file."""
    from mmengine.runner.checkpoint import CheckpointLoader

    register_safe_globals()
    CheckpointLoader.register_scheme('', load_from_local, force=True)


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
