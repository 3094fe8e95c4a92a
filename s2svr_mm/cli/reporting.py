# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What goes wrong for a user's reason is said in one message instead of a traceback."""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError

from ..errors import CheckpointError, MissingPackageError, NonFiniteError, did_you_mean

_UNKNOWN_TYPE = re.compile(r'([\w.]+) is not in the (?:\w+::)?([\w ]+?) registry')
# mmagic's PairedRandomCrop; it goes on to list every frame of the clip.
_SMALL_FRAMES = re.compile(
    r"LQ \((\d+), (\d+)\) is smaller than patch size \((\d+), .*?check (?:\[')?(.+?)(?:'| and )",
    re.DOTALL,
)
_MISSING_TYPE = re.compile(r'must contain the key "type", but got (.*?)(?:\n|$)')
_WRONG_ARGUMENT = re.compile(
    r'(?:__init__|set_randomness)\(\) (got an unexpected|missing \d+ required)'
)


def _known_types(registry_name: str) -> list[str]:
    import mmagic.registry
    from mmengine.registry import Registry

    names: set[str] = set()
    for registry in vars(mmagic.registry).values():
        while isinstance(registry, Registry) and registry.name == registry_name:
            names |= set(registry.module_dict)
            registry = registry.parent
    return sorted(names)


def _from_worker(text: str) -> str:
    """The message alone of an error that a data loader's worker raised."""
    if not re.match(r'Caught \w+ in ', text):
        return text
    lines = text.splitlines()
    last_frame = max(i for i, line in enumerate(lines) if line.startswith('  File "'))
    start = next(i for i in range(last_frame, len(lines)) if not lines[i].startswith(' '))
    return '\n'.join([lines[start].partition(': ')[2], *lines[start + 1 :]]).strip()


def explain(error: BaseException) -> str | None:
    """Say what an error means for the user.

    Args:
        error: Any error.

    Returns:
        One message, or None if the error is no fault of the user's input as far as can be told.
    """
    text = _from_worker(str(error.args[0]) if len(error.args) == 1 else str(error))
    if isinstance(error, KeyError) and (match := _UNKNOWN_TYPE.search(text)):
        name, registry = match.groups()
        guess = did_you_mean(name, _known_types(registry))
        return f"the config names the type '{name}', but there is no such {registry}.{guess}"
    if isinstance(error, KeyError) and (match := _MISSING_TYPE.search(text)):
        return f"a part of the config has no 'type', so nothing can be built of it: {match[1]}"
    if isinstance(error, TypeError) and _WRONG_ARGUMENT.search(text):
        return f'the config does not suit what it builds: {text}'
    if isinstance(error, ValueError) and (match := _SMALL_FRAMES.search(text)):
        h, w, patch, path = match.groups()
        return (
            f'{path}: degraded frames of {w}x{h} are smaller than the {patch}x{patch} that '
            'training crops from them. Leave that clip out, or crop less: --cfg-options '
            'train_dataloader.dataset.pipeline.1.gt_patch_size=N, N at the size of the good frames'
        )
    if isinstance(error, (URLError, socket.gaierror)):
        return (
            f'a download failed ({text}); the last line above says which. Fetch that file '
            'elsewhere and point the config to it, such as --cfg-options '
            'model.generator.spynet_pretrained=FILE'
        )
    told = (OSError, ValueError, CheckpointError, NonFiniteError, MissingPackageError)
    if isinstance(error, told):
        return text
    return None


@contextmanager
def exit_on_user_error(debug: bool = False) -> Iterator[None]:
    """End the program with one message where the user's input is at fault.

    Args:
        debug: Whether to show the traceback instead.

    Raises:
        SystemExit: With status 1 after the message, or 130 after an interrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        if debug:
            raise
        print('interrupted', file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = explain(error)
        if debug or message is None:
            raise
        rank = os.environ.get('RANK')
        where = f' (process {rank})' if rank else ''
        print(f'\nerror{where}: {message}\n(--debug shows where)', file=sys.stderr)
        sys.exit(1)
