# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Options of a command line that change a config: a wrong key is named before anything is built."""

import inspect
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmagic.registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ..errors import ConfigError, did_you_mean
from ..utils.config import read_config

# Keys that mmengine's Runner reads from the config beside its own arguments.
_RUNNER_KEYS = {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
}
_CONFIG_KEYS = {'type', '_scope_', '_delete_'}
# Read before what the type names is built.
_OWN_KEYS = {
    'optim_wrapper': {'constructor', 'paramwise_cfg'},
    'train_cfg': {'by_epoch'},
    'val_cfg': {'fp16'},
    'test_cfg': {'fp16'},
}
_ENVIRONMENT = {'cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'}
_HOOKS = {'checkpoint', 'logger', 'param_scheduler', 'runtime_info', 'sampler_seed', 'timer'}


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
            if not part.isdigit() or int(part) >= len(node):
                raise ConfigError(
                    f'--cfg-options {key}: {above} is a list of {len(node)}, and {part!r} none of '
                    f'its entries: {_entries(node)}'
                )
            node = node[int(part)]
        elif not isinstance(node, Mapping):
            raise ConfigError(
                f'--cfg-options {key}: {above} is {node!r}, so nothing can be set in it. Write '
                'what it is to be as a whole into a config'
            )
        elif part in node:
            node = node[part]
        else:
            known, closed = _known_keys(above, node, options)
            guess = did_you_mean(part, sorted(known), 0.6 if closed else 0.8)
            if part not in known and (closed or guess):
                guess = guess or f' It knows: {", ".join(sorted(known - _CONFIG_KEYS))}.'
                raise ConfigError(
                    f"--cfg-options {key}: {above or 'the config'} has no '{part}'.{guess}"
                )
            return


def _entries(node: list) -> str:
    names = [entry.get('type', '-') if isinstance(entry, Mapping) else entry for entry in node]
    return ', '.join(f'{i} {name}' for i, name in enumerate(names)) or 'it is empty'


def _known_keys(path: str, node: Mapping, options: Mapping[str, Any]) -> tuple[set[str], bool]:
    """What may stand at a place of the config, and whether nothing else may."""
    if not path:
        return {*node, *_parameters(Runner)[0], *_RUNNER_KEYS}, True
    if path == 'default_hooks':
        typed = (re.fullmatch(r'default_hooks\.(\w+)\.type', key) for key in options)
        return {*node, *_HOOKS, *(match[1] for match in typed if match)}, True
    kind = options.get(f'{path}.type', node.get('type'))
    own = _CONFIG_KEYS | _OWN_KEYS.get(path, set())
    if kind is not None:
        makers = [kind] if callable(kind) else _registered(str(kind))
    elif path == 'randomness':
        makers = [Runner.set_randomness]
    elif path == 'train_cfg':
        makers = [IterBasedTrainLoop]
    elif path.rpartition('.')[2].endswith('_dataloader'):
        makers = [DataLoader]
    else:
        return {*node, *own, *(_ENVIRONMENT if path == 'env_cfg' else ())}, path == 'env_cfg'
    found = [_parameters(maker) for maker in makers]
    known = {*node, *own}.union(*(names for names, _ in found))
    return known, bool(found) and not any(more for _, more in found)


def _registered(name: str) -> list[Any]:
    """All that registries build by a name; none if it is unknown, which building reports."""
    registries = [r for r in vars(mmagic.registry).values() if isinstance(r, Registry)]
    return [maker for r in registries if (maker := r.get(name)) is not None]


def _parameters(maker: Any) -> tuple[set[str], bool]:
    """Names of the arguments that something takes, and whether it takes any others as well."""
    known: set[str] = set()
    functions = [maker]
    if inspect.isclass(maker):
        functions = [vars(c)['__init__'] for c in maker.__mro__[:-1] if '__init__' in vars(c)]
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        known |= {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        if all(p.kind != p.VAR_KEYWORD for p in parameters):
            return known - {'self'}, False
    return known - {'self'}, True


def load_config(
    filename: str,
    options: Mapping | None = None,
    work_dir: str | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config and apply the options of a command line to it.

    Args:
        filename: The config file.
        options: Changes by dotted key, as ``--cfg-options`` gives them.
        work_dir: Folder for logs and checkpoints. Default: the config's own ``work_dir``, or
            ``./work_dirs/<name of the config>``.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        The config.

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
