# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Config files, read with one clear error for what is wrong in them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..errors import ConfigError, did_you_mean


def read_config(filename: str | os.PathLike) -> Config:
    """Read a config file.

    Args:
        filename: The file.

    Returns:
        Config: The config.

    Raises:
        ConfigError: If there is no such file, or it cannot be read.
    """
    path = Path(filename)
    if not path.is_file():
        names = [entry.name for entry in path.parent.glob('*.py')] if path.parent.is_dir() else []
        raise ConfigError(f'there is no config {filename}.{did_you_mean(path.name, names)}')
    try:
        return Config.fromfile(path)
    except (SyntaxError, KeyError, TypeError, AttributeError, NameError, OSError) as error:
        raise ConfigError(f'{filename} cannot be read: {type(error).__name__}: {error}') from error


def without_pretrained(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out weights that parts of a model fetch when they are built.

    Args:
        config: Config of a model whose checkpoint has them all.

    Returns:
        dict[str, Any]: A copy; what ends in 'pretrained', as mmagic's ``spynet_pretrained``, is
        None in it.
    """
    return {
        key: None
        if key.endswith('pretrained')
        else without_pretrained(value)
        if isinstance(value, Mapping)
        else value
        for key, value in config.items()
    }
