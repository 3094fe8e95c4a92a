# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What a config builds: which types there are, what they take, and what is wrong with a config."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mmagic.registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ..errors import ConfigError, did_you_mean

# Keys of a config that its type does not see.
CONFIG_KEYS = frozenset({'type', '_scope_', '_delete_'})
# Where mmengine reads a config: it raises these itself if something in it is wrong.
_READERS = ('mmengine.registry.', 'mmengine.runner.runner', 'mmengine.optim.scheduler.')


def makers_of(path: str, node: Mapping[str, Any]) -> list[Any]:
    """Find what takes the entries of a part of a config as its arguments.

    Args:
        path: Its keys, with dots between them; '' for the config itself.
        node: The part.

    Returns:
        list[Any]: What registries have under its type; none for an unknown type, and for a part
        without a type that mmengine does not hand on as a whole.
    """
    kind = node.get('type')
    if isinstance(kind, str):
        registries = [r for r in vars(mmagic.registry).values() if isinstance(r, Registry)]
        return [maker for r in registries if (maker := r.get(kind)) is not None]
    if kind is not None:
        return [kind]
    if path.rpartition('.')[2].endswith('_dataloader'):
        return [DataLoader]
    untyped = {'': Runner, 'randomness': Runner.set_randomness, 'train_cfg': IterBasedTrainLoop}
    return [untyped[path]] if path in untyped else []


def parameters_of(maker: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments that something takes by name, and whether it takes any others."""
    known: dict[str, inspect.Parameter] = {}
    classes = inspect.getmro(maker)[:-1] if inspect.isclass(maker) else ()
    chain = [vars(c)['__init__'] for c in classes if '__init__' in vars(c)] or [maker]
    for function in chain:
        parameters = inspect.signature(function).parameters.values()
        for p in parameters:
            if p.name != 'self' and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                known.setdefault(p.name, p)
        if all(p.kind != p.VAR_KEYWORD for p in parameters):
            return known, False
    return known, True


@contextmanager
def config_errors(config: Config | Mapping[str, Any], source: str) -> Iterator[None]:
    """Report what mmengine finds wrong in a config as a ConfigError.

    Errors that arise anywhere else, in what the config builds for one, are left alone.

    Args:
        config: What is built in the block.
        source: Its file, for the message.

    Raises:
        ConfigError: If an entry names no type, an unknown one, or an argument that its type does
            not take or lacks; or mmengine refuses a value.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        where = _innermost_module(error)
        if isinstance(error, ConfigError) or not where.startswith(_READERS):
            raise
        text = str(error.args[0]) if error.args else ''
        content = config.to_dict() if isinstance(config, Config) else config
        fault = None if isinstance(error, ValueError) else _find_fault(content, '', text)
        # Anything can be called from the runner, with arguments that are no part of the config.
        if fault is None and isinstance(error, TypeError) and 'registry' not in where:
            raise
        raise ConfigError(f'{source}: {fault or text}') from error


def _innermost_module(error: BaseException) -> str:
    """Return the name of the module in which an error arose."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get('__name__', '') if trace else ''


def _find_fault(node: Any, path: str, text: str) -> str | None:
    """Find the entry of a config that the text of an error speaks of."""
    if isinstance(node, Mapping):
        children = [(f'{path}.{key}' if path else str(key), value) for key, value in node.items()]
        fault = _fault_of(node, path, text)
    elif isinstance(node, (list, tuple)):
        children, fault = [(f'{path}.{i}', value) for i, value in enumerate(node)], None
    else:
        return None
    faults = (_find_fault(value, where, text) for where, value in children)
    return fault or next(filter(None, faults), None)


def _fault_of(node: Mapping[str, Any], path: str, text: str) -> str | None:
    kind, makers = node.get('type'), makers_of(path, node)
    if kind is None and '"type"' in text and str(dict(node)) in text:
        return f"{path} has no 'type', so nothing can be built of it: {dict(node)}"
    if isinstance(kind, str) and not makers and kind in text:
        return f"{path}.type: there is no '{kind}'.{did_you_mean(kind, _known_types())}"
    name = f"'{kind}'" if isinstance(kind, str) else path
    for maker in makers if path else ():
        known, open_ended = parameters_of(maker)
        for key in sorted(node.keys() - known.keys() - CONFIG_KEYS):
            if not open_ended and f"'{key}'" in text:
                guess = (
                    did_you_mean(key, sorted(known)) or f' It knows: {", ".join(sorted(known))}.'
                )
                return f"{path}: {name} has no argument '{key}'.{guess}"
        for key in sorted(known.keys() - node.keys()):
            if known[key].default is inspect.Parameter.empty and f"'{key}'" in text:
                return f"{path}: {name} needs the argument '{key}'"
    return None


def _known_types() -> list[str]:
    names: set[str] = set()
    for registry in vars(mmagic.registry).values():
        while isinstance(registry, Registry):
            names |= set(registry.module_dict)
            registry = registry.parent
    return sorted(names)
