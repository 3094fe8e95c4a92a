# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The weights bundled with the package, named ``s2svr://NAME``, and what is known of them.

Standard library only: the command line lists the models before anything heavy is imported.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ConfigError, did_you_mean

SCHEME = 's2svr://'
_PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = _PACKAGE / 'weights'
# In a checkout, and in an installed package.
CONFIG_FOLDERS = [_PACKAGE.parent / 'configs', _PACKAGE / '.mim' / 'configs']
# Describes those of the weights that belong to networks that restore.
MODEL_LIST = 'models.json'
# What `s2svr restore` and `restore_video` take where no model is named; where a size is asked for,
# by scale.
DEFAULT_MODEL = 's2svr_s_x2_video'
DEFAULT_MODELS = {1: 's2svr_s_compress', 2: DEFAULT_MODEL, 4: 's2svr_s_x4_video'}


@dataclass(frozen=True)
class BundledModel:
    """A bundled network that restores; its weights are ``s2svr://NAME``.

    Attributes:
        name: Its name.
        about: What it is for, in a line.
        task: 'super-resolution', 'compression artefacts' or 'deblurring'.
        scale: Size of restored frames over that of the input.
        smallest_frame: Least height and width of a frame.
        config: Name of the config file whose ``model.generator`` it is.
        metrics: Figures, each a dict with the data that they were measured ``on``.
        data: What it was trained on.
        licence: Licence of the weights.
    """

    name: str
    about: str
    task: str
    scale: int
    smallest_frame: int
    config: str
    metrics: list[dict[str, Any]]
    data: str
    licence: str

    @property
    def summary(self) -> str:
        """What it is for, its scale and its smallest frame in a line."""
        side = self.smallest_frame
        return f'{self.about}; scale {self.scale}, smallest frame {side}x{side}'


def weights_file(name: str) -> Path:
    """Find the file of bundled weights.

    Args:
        name: The weights' name, with or without ``s2svr://``.

    Returns:
        Path: The file.

    Raises:
        CheckpointError: If there are no such weights; the message lists those there are.
    """
    name = name.removeprefix(SCHEME)
    names = sorted(file.stem for file in FOLDER.glob('*.pth'))
    if name not in names:
        raise CheckpointError(
            f'no weights {SCHEME}{name} are bundled with s2svr_mm; there are: '
            + (', '.join(names) or 'none')
        )
    return FOLDER / f'{name}.pth'


def bundled_models() -> dict[str, BundledModel]:
    """Return the bundled networks that restore, by name."""
    entries = json.loads((FOLDER / MODEL_LIST).read_text(encoding='utf-8'))
    return {name: BundledModel(name, **entry) for name, entry in sorted(entries.items())}


def bundled_model(name: str) -> BundledModel:
    """Return a bundled network's description.

    Args:
        name: Its name.

    Returns:
        BundledModel: What is known of it.

    Raises:
        ConfigError: If there is none of that name; the message lists those there are.
    """
    models = bundled_models()
    if name not in models:
        raise ConfigError(
            f'no model {name!r} is bundled with s2svr_mm.{did_you_mean(name, list(models))} '
            f'There are:\n{describe_models()}\n'
            'For weights of your own give a config and a checkpoint.'
        )
    return models[name]


def describe_models() -> str:
    """Return a line for each bundled network: its name and what it is for."""
    models = bundled_models().values()
    width = max((len(model.name) for model in models), default=0)
    return '\n'.join(f'  {model.name:{width}}  {model.summary}' for model in models)


def bundled_config(name: str) -> Path:
    """Find a config of the project.

    Args:
        name: The file's name.

    Returns:
        Path: The file.

    Raises:
        ConfigError: If the installation has no such config.
    """
    for folder in CONFIG_FOLDERS:
        if found := sorted(folder.rglob(name)):
            return found[0]
    raise ConfigError(f'there is no config {name} in {" or ".join(map(str, CONFIG_FOLDERS))}')
