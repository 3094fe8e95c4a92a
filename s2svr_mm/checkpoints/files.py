# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Checkpoints that are read without running any code in them."""

import hashlib
import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import load_file as load_safetensors
from torch import Tensor

from ..errors import CheckpointError
from ..utils.files import AtomicBackend
from .shipped import SCHEME, weights_file

# The file that names the last checkpoint of a run.
POINTER = 'last_checkpoint'

# Where mmengine and BasicSR keep weights, in the order in which they are looked for.
_CONTAINERS = ('state_dict', 'params_ema', 'params')
# What (Distributed)DataParallel and torch.compile put around a model, its generator, or both.
_WRAPPED = r'(?:(?:module|_orig_mod)\.)*'
_WRAPPERS = re.compile(rf'^{_WRAPPED}((?:generator(?:_ema)?\.)?){_WRAPPED}')

_HISTORY_METHODS = ('min', 'max', 'current', 'mean')


def weights_digest(module: torch.nn.Module) -> str:
    """Compute the SHA-256 of all the weights of a module, with their names."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _history_buffer_attribute(owner: Any, name: str) -> Callable:
    """Stand in for ``getattr`` in a checkpoint, for the methods that a HistoryBuffer names."""
    if owner is HistoryBuffer and name in _HISTORY_METHODS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed in a checkpoint')


def _safe_globals() -> list:
    """List what ``torch.load(..., weights_only=True)`` needs to read mmengine's checkpoints.

    Beside tensors these are the training log (HistoryBuffer) and NumPy scalars and arrays. A
    HistoryBuffer names four of its own methods through ``getattr``, which is answered for these
    alone: the real ``getattr`` would undo the safety of ``weights_only``.
    """
    multiarray = np.core.multiarray
    return [
        HistoryBuffer,
        (_history_buffer_attribute, 'builtins.getattr'),
        multiarray._reconstruct,  # type: ignore[attr-defined]
        multiarray.scalar,  # type: ignore[attr-defined]
        np.ndarray,
        np.dtype,
        *{type(np.dtype(code)) for code in np.typecodes['All']},
    ]


def open_checkpoint(source: str | os.PathLike, map_location: Any = 'cpu') -> Any:
    """Read all that a checkpoint holds, without running any code that it may carry.

    Args:
        source: A file written by ``torch.save`` or a ``.safetensors`` file, the URL of one, or
            ``s2svr://NAME``. mmengine's own schemes (``open-mmlab://``, ...) are left to it.
        map_location: Same as in :func:`torch.load`.

    Returns:
        As a rule a dict with ``state_dict``, or the state dict itself.

    Raises:
        CheckpointError: If there is no such file, it cannot be fetched, is cut short, is no
            checkpoint at all, or asks for anything beyond tensors, containers and mmengine's
            training log.
    """
    name = os.fspath(source)
    if name.startswith(SCHEME):
        return _open_file(weights_file(name), map_location)
    if name.startswith(('http://', 'https://')):
        return _open_file(_download(name), map_location)
    if '://' in name:
        return CheckpointLoader.load_checkpoint(name, map_location)
    return _open_file(Path(name).expanduser(), map_location)


def _open_file(path: Path, map_location: Any) -> Any:
    if not path.is_file():
        raise CheckpointError(f'there is no checkpoint at {path}')
    try:
        if path.suffix == '.safetensors':
            return load_safetensors(path)
        with torch.serialization.safe_globals(_safe_globals()):
            return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        # torch wraps the short reason in advice that does not fit here
        reason = str(error.__context__ or error).split('. ')[0].rstrip('.')
        raise CheckpointError(
            f'{path} was refused ({reason}): a checkpoint needs tensors, containers and a training '
            'log; anything else could run code (none was run). If you trust where the file comes '
            "from, load it there and save its weights alone: torch.save({'state_dict': ...}, file)"
        ) from None
    except PermissionError as error:
        raise CheckpointError(f'{path} cannot be read: {error.strerror}') from error
    except Exception as error:  # what a damaged file leads to depends on where it is damaged
        reason = f'{type(error).__name__}: {error}'.split('. ')[0]
        raise CheckpointError(
            f'{path} cannot be read as a checkpoint ({reason}): if saving or copying it was '
            'interrupted, take an earlier one or copy it again'
        ) from error


def _download(url: str) -> Path:
    """Fetch a file into torch's cache, unless it is there already, and return its path."""
    name = PurePosixPath(urlsplit(url).path)
    # Files of one name at two addresses are two files.
    cached = f'{name.stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{name.suffix}'
    path = Path(torch.hub.get_dir()) / 'checkpoints' / cached
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=os.isatty(2))
        except (OSError, HTTPException) as error:  # URLError is an OSError
            raise CheckpointError(
                f'{url} could not be downloaded ({error}). Fetch the file elsewhere and give its '
                'path, or place it at ' + str(path)
            ) from error
    return path


def read_weights(source: str | os.PathLike, map_location: Any = 'cpu') -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Args:
        source: As for :func:`open_checkpoint`.
        map_location: Same as in :func:`torch.load`.

    Returns:
        dict[str, Tensor]: Weights by name, without the ``module.`` of (Distributed)DataParallel
        and the ``_orig_mod.`` of torch.compile.

    Raises:
        CheckpointError: As for :func:`open_checkpoint`, and if it holds no weights.
    """
    return weights_in(open_checkpoint(source, map_location), source)


def weights_in(content: Any, source: str | os.PathLike) -> dict[str, Tensor]:
    """Take the weights out of what a checkpoint holds.

    Args:
        content: A state dict, or a dict that holds one as mmengine (``state_dict``) or BasicSR
            (``params_ema``, ``params``) do. Where there are both, averaged weights are taken.
        source: Where it comes from, for the message.

    Returns:
        dict[str, Tensor]: As :func:`read_weights`.

    Raises:
        CheckpointError: If it holds no weights.
    """
    state, held = content, content
    if isinstance(content, Mapping):
        held = ', '.join(map(str, list(content)[:5])) or 'nothing'
        for key in _CONTAINERS:
            if key in content:
                state = content[key]
                if key == 'params_ema' and 'params' in content:
                    print_log(f'{source}: params_ema is taken, not params', 'current')
                break
    if not isinstance(state, Mapping) or not state or not all(map(torch.is_tensor, state.values())):
        raise CheckpointError(f'{source} holds no weights of a network, but {held}')
    return {_WRAPPERS.sub(r'\1', name): value for name, value in state.items()}


def register_checkpoint_loader() -> None:
    """Make mmengine read checkpoints (load, resume, init_cfg) by :func:`open_checkpoint`.

    That holds for the whole process: mmengine's own loaders refuse what mmengine itself saves
    (training logs), and load pickles from URLs without a check.
    """
    CheckpointLoader.register_scheme(('', 'http://', 'https://'), load_from_safely, force=True)
    CheckpointLoader.register_scheme(SCHEME, load_from_safely, force=True)


def load_from_safely(filename: str, map_location: Any = None) -> Any:
    """Read a checkpoint for mmengine, whose log names a loader by what follows ``load_from_``."""
    return open_checkpoint(filename, map_location)


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
    """Describe what is wrong with a checkpoint file.

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
    pointer = work_dir / POINTER
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
