# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A network with its weights: of a config and a checkpoint, or a model that comes along."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from mmagic.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from ..checkpoints.files import load_checkpoint_file
from ..checkpoints.matching import check_fit
from ..checkpoints.shipped import SCHEME, load_from_package
from ..errors import ConfigError, did_you_mean
from ..training.config import load_config, without_pretrained

SHIPPED = files('s2svr_mm') / 'weights'
# Of the shipped weights, those of networks that restore, with their configs.
MODEL_LIST = 'models.json'


def load_network(config: str, checkpoint: str) -> nn.Module:
    """Build the network of a config and load its weights.

    Only the generator is built: losses and discriminators of the config need nothing here, and
    weights that it would fetch for the start of a training are not fetched.

    Args:
        config (str): A config file of this project or of mmagic.
        checkpoint (str): A checkpoint of the model, a state dict of its generator alone, or
            ``s2svr://NAME``.

    Returns:
        nn.Module: The network.

    Raises:
        ConfigError: The config has no generator.
        CheckpointError: The checkpoint is broken or belongs to another network.
    """
    model = load_config(config).get('model') or {}
    if 'generator' not in model:
        raise ConfigError(f'{config} has no model with a generator')
    return _with_weights(model['generator'], checkpoint)


def shipped_models() -> dict[str, dict[str, Any]]:
    """The models that come with this package.

    Returns:
        dict: By name, from ``weights/models.json``: ``generator`` (its config), ``weights`` (a file
        beside it) and ``about`` (a line on what it is for).
    """
    return json.loads((SHIPPED / MODEL_LIST).read_text())


def load_shipped_network(name: str) -> nn.Module:
    """Load a model that comes with this package.

    Args:
        name (str): Its name.

    Returns:
        nn.Module: The network.

    Raises:
        ConfigError: There is none of that name; the message lists those there are.
    """
    models = shipped_models()
    if name not in models:
        listed = '\n'.join(f'  {key}: {value["about"]}' for key, value in models.items())
        raise ConfigError(
            f'no model {name!r} comes with this package.{did_you_mean(name, list(models))} '
            + (f'There are:\n{listed}' if models else 'None does yet')
            + '\nFor weights of your own give a config and a checkpoint.'
        )
    return _with_weights(models[name]['generator'], str(SHIPPED / models[name]['weights']))


def _with_weights(generator: Mapping[str, Any], checkpoint: str) -> nn.Module:
    init_default_scope('mmagic')
    network = MODELS.build(without_pretrained(generator))
    shipped = checkpoint.startswith(SCHEME)
    content = (load_from_package if shipped else load_checkpoint_file)(checkpoint)
    state = content.get('state_dict', content) if isinstance(content, Mapping) else content
    if isinstance(state, Mapping):
        for prefix in ('generator_ema.', 'generator.'):
            own = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
            if own:
                state = own
                break
    check_fit(network, {'state_dict': state}, checkpoint)
    network.load_state_dict(state, strict=False)
    return network
