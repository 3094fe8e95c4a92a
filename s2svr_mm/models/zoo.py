# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Networks with their weights: the bundled ones by name, others by config and checkpoint."""

import os
from pathlib import Path
from typing import Any

from mmagic.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from ..checkpoints.files import read_weights
from ..checkpoints.matching import load_into
from ..checkpoints.shipped import SCHEME, bundled_config, bundled_model, bundled_models
from ..errors import ConfigError
from ..utils.building import config_errors
from ..utils.config import read_config, without_pretrained


def list_models() -> list[str]:
    """Return the names of the bundled networks that restore.

    ``s2svr_mm.checkpoints.shipped.bundled_model(name)`` says what each is for.
    """
    return list(bundled_models())


def load_model(model: str | os.PathLike, checkpoint: str | os.PathLike | None = None) -> nn.Module:
    """Load a network with its weights, ready to restore.

    Only the generator is built, without the losses and discriminators of the config, and pretrained
    weights that training would start from are not downloaded.

    Args:
        model: Name of a bundled network (see :func:`list_models`), or a config file of this
            project or of mmagic.
        checkpoint: For a config, the weights: those of its model or of the generator alone; a
            file, a URL or ``s2svr://NAME``. Defaults to None.

    Returns:
        nn.Module: The network, in evaluation mode, on the CPU.

    Raises:
        ConfigError: If there is no bundled network of that name, or the config has no generator.
        CheckpointError: If the checkpoint is broken or belongs to another network.
    """
    if checkpoint is None:
        if Path(model).suffix == '.py':
            raise ConfigError(f'{model} is a config: give a checkpoint with it')
        checkpoint = f'{SCHEME}{bundled_model(os.fspath(model)).name}'
    init_default_scope('mmagic')
    generator = without_pretrained(generator_config(model))
    with config_errors(generator, f'{model}: model.generator'):
        network = MODELS.build(generator)
    load_into(network, read_weights(checkpoint), checkpoint)
    return network.eval()


def generator_config(config: str | os.PathLike) -> dict[str, Any]:
    """Return what a config says of its generator.

    Args:
        config: A config file, or the name of a bundled network (which has no suffix).

    Returns:
        dict[str, Any]: The config of the generator.

    Raises:
        ConfigError: If there is none.
    """
    if not Path(config).suffix:
        config = bundled_config(bundled_model(os.fspath(config)).config)
    model = read_config(config).get('model') or {}
    if 'generator' not in model:
        raise ConfigError(f'{config} has no model with a generator')
    return model['generator']
