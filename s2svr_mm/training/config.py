# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A config with the options of a command line; a wrong key is named before anything is built."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.optim import DefaultOptimWrapperConstructor

from ..errors import ConfigError, did_you_mean
from ..utils.building import CONFIG_KEYS, makers_of, parameters_of
from ..utils.config import read_config

# What mmengine reads from a config beside the arguments of its Runner.
_RUNNER_KEYS = (
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
)


def load_config(
    filename: str | os.PathLike,
    options: Mapping | None = None,
    work_dir: str | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config and apply the options of a command line to it.

    Args:
        filename: The config file.
        options: Changes by dotted key, as ``--cfg-options`` gives them. Defaults to None.
        work_dir: Folder for logs and checkpoints. Defaults to None: the config's own
            ``work_dir``, or ``./work_dirs/<name of the config>``.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'. Defaults to 'none'.

    Returns:
        Config: The config.

    Raises:
        ConfigError: If there is no such file, it can't be read, or an option's key is unknown.
    """
    cfg = read_config(filename)
    if options:
        check_options(cfg, options)
        cfg.merge_from_dict(dict(options))
    cfg.launcher = launcher
    if work_dir:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(filename).stem)
    return cfg


def check_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Refuse options whose key nothing reads.

    What has a type is asked for its arguments. Where anything may stand, as in ``custom_keys``,
    a key is refused if it nearly is one that is there.

    Args:
        cfg: The config before the options are applied.
        options: Values by dotted key, as ``--cfg-options`` gives them.

    Raises:
        ConfigError: If a key is unknown, an entry of a list is not there, or a key goes on below
            what is no dict; with a guess at what was meant.
    """
    content = cfg.to_dict()
    for key in options:
        _check_option(content, key, options)


def _check_option(node: Any, key: str, options: Mapping[str, Any]) -> None:
    parts = key.split('.')
    for depth, part in enumerate(parts):
        above = '.'.join(parts[:depth])
        if isinstance(node, list):
            if not part.isdecimal() or int(part) >= len(node):
                raise ConfigError(
                    f'--cfg-options {key}: {above} is a list of {len(node)}, and {part!r} none of '
                    f'its entries: {_entries(node)}'
                )
            node = node[int(part)]
        elif not isinstance(node, Mapping):
            raise ConfigError(
                f'--cfg-options {key}: {above} is {node!r}, so nothing can be set in it. Set its '
                'whole value in a config'
            )
        elif part in node:
            node = node[part]
        else:
            _check_new_key(above, part, node, key, options)
            return


def _entries(node: list) -> str:
    names = [entry.get('type', '-') if isinstance(entry, Mapping) else entry for entry in node]
    return ', '.join(f'{i} {name}' for i, name in enumerate(names)) or 'it is empty'


def _check_new_key(
    path: str, part: str, node: Mapping[str, Any], key: str, options: Mapping[str, Any]
) -> None:
    """Refuse a key that is not there yet, unless something reads it."""
    known, closed = _known_keys(path, node, options)
    if part in known:
        return
    guess = did_you_mean(part, sorted(known), 0.6 if closed else 0.8)
    if closed or guess or any(name.startswith(part) for name in known):
        guess = guess or f' It knows: {", ".join(sorted(known - CONFIG_KEYS))}.'
        raise ConfigError(f"--cfg-options {key}: {path or 'the config'} has no '{part}'.{guess}")


def _known_keys(
    path: str, node: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[set[str], bool]:
    """Return what may stand at a place of the config, and whether nothing else may."""
    if path == 'default_hooks':  # a new hook needs a type
        start, end = f'{path}.', '.type'
        typed = (k for k in options if k.startswith(start) and k.endswith(end))
        return {*node, *(k.removeprefix(start).removesuffix(end) for k in typed)}, True
    kind = options.get(f'{path}.type', node.get('type'))
    makers = makers_of(path, {**node, 'type': kind})
    if path == 'optim_wrapper':
        makers.append(DefaultOptimWrapperConstructor)
    found = [parameters_of(maker) for maker in makers]
    known = {*node, *CONFIG_KEYS}.union(*(names for names, _ in found))
    known |= set() if path else set(_RUNNER_KEYS)
    return known, bool(found) and not any(open_ended for _, open_ended in found)
