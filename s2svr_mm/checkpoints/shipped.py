# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The weights bundled with the package, named ``s2svr://NAME``."""

from pathlib import Path
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from .files import load_checkpoint_file

# The weights that come with the package.
SCHEME = 's2svr://'
FOLDER = Path(__file__).resolve().parents[1] / 'weights'


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_package(filename: str, map_location: Any = 'cpu') -> dict:
    """Reads weights that come with the package, ``s2svr://NAME``.

    Args:
        filename (str): ``s2svr://`` and the file's name without ``.pth``.
        map_location (Any): Same as in :func:`torch.load`.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If the package has no weights of that name; lists those it has.
    """
    name = filename.removeprefix(SCHEME)
    path = FOLDER / f'{name}.pth'
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in FOLDER.glob('*.pth'))) or 'none'
        raise FileNotFoundError(f'no weights {filename} come with s2svr_mm; there are: {names}')
    return load_checkpoint_file(path, map_location)
