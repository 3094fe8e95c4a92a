# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Whether weights fit a module: all of them, or none are loaded."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule, is_model_wrapper
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from ..errors import CheckpointError


class StrictInit(BaseModule):
    """A module whose ``init_cfg`` of type 'Pretrained' loads all of its weights or fails.

    mmengine's own leaves out what does not fit and goes on.
    """

    def init_weights(self) -> None:
        """Initializes the weights as ``init_cfg`` says.

        Raises:
            CheckpointError: If the weights of the checkpoint do not fit.
        """
        cfg = self.init_cfg
        if isinstance(cfg, dict) and cfg['type'] == 'Pretrained':
            load_weights(self, cfg['checkpoint'], cfg.get('prefix', ''))
            self.is_init = True
        else:
            super().init_weights()


def load_weights(module: nn.Module, checkpoint: str, prefix: str = '') -> None:
    """Loads the weights of a whole module.

    Args:
        module (nn.Module): Gets the weights.
        checkpoint (str): File, URL, or ``s2svr://NAME``; half-precision weights do too.
        prefix (str): What stands before the module's names in the checkpoint: ``'estimator'`` in
            one of :class:`UnsupervisedFlow`, ``'generator.flow_estimator'`` in one of
            :class:`S2SVR`. Defaults to ''.

    Raises:
        CheckpointError: If a key is missing or left over, or a shape differs; the module is then
            as it was.
    """
    loaded = CheckpointLoader.load_checkpoint(checkpoint, 'cpu', logger='current')
    weights = loaded.get('state_dict', loaded) if isinstance(loaded, Mapping) else {}
    start = prefix.rstrip('.') + '.' if prefix else ''
    expected = module.state_dict()
    constants = {name for name, _ in module.named_buffers()} - set(expected)
    given = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
    given = {key: value for key, value in given.items() if key not in constants}
    faults = _faults(given, expected)
    if faults:
        raise CheckpointError(
            f'{checkpoint} does not hold the weights of a {type(module).__name__}'
            + (f' under the prefix {prefix!r}' if prefix else '')
            + f': {faults}.{_advice(weights, expected)}'
        )
    module.load_state_dict(given)
    print_log(f'{type(module).__name__}: weights from {checkpoint}', logger='current')


def _faults(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    missing = [key for key in expected if key not in given]
    unknown = [key for key in given if key not in expected]
    misshapen = [
        f'{key} ({tuple(given[key].shape)} for {tuple(value.shape)})'
        for key, value in expected.items()
        if key in given and given[key].shape != value.shape
    ]
    named = (('missing', missing), ('unknown', unknown), ('of another shape', misshapen))
    return '; '.join(
        f'{len(keys)} keys {fault}: {", ".join(keys[:3])}{", ..." if len(keys) > 3 else ""}'
        for fault, keys in named
        if keys
    )


def _advice(weights: Mapping[str, Any], expected: Mapping[str, Tensor]) -> str:
    """Names the prefixes under which all that is missing lies, if there are any."""
    first = next(iter(expected))
    prefixes = [
        key.removesuffix(first).rstrip('.')
        for key in weights
        if key.endswith('.' + first)
        and all(key.removesuffix(first) + name in weights for name in expected)
    ]
    if prefixes:
        return f' They lie under another prefix: give prefix={" or ".join(map(repr, prefixes))}.'
    if any('feature_pyramid_extractor' in key for key in weights):
        return ' The names are official ones: convert the file with tools/convert_weights.py.'
    return ''


def _shortened(lines: Sequence[str], limit: int = 4) -> str:
    rest = len(lines) - limit
    return ', '.join(lines[:limit]) + (f' and {rest} more' if rest > 0 else '')


def check_fit(
    model: nn.Module, checkpoint: Mapping[str, Any], source: str, partly: bool = False
) -> str | None:
    """Check that a checkpoint belongs to a model.

    Args:
        model: The model.
        checkpoint: What the file holds: a state dict, or a dict with ``state_dict``.
        source: The file's name, for the message.
        partly: Whether it is enough that some of the weights fit (for fine-tuning).

    Returns:
        None if all fits. Otherwise, and only with ``partly``, what does not.

    Raises:
        CheckpointError: With missing and unexpected keys and those of another shape. Counters
            (buffers of a single element) may be missing.
    """
    if is_model_wrapper(model):
        model = model.module
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(hasattr(v, 'shape') for v in state.values()):
        raise CheckpointError(f'{source} holds no state dict of a model')
    given = {re.sub(r'^module\.', '', key): tuple(value.shape) for key, value in state.items()}
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    counters = {key for key, buffer in model.named_buffers() if buffer.numel() == 1}

    missing = [key for key in wanted if key not in given and key not in counters]
    unexpected = [key for key in given if key not in wanted]
    misshaped = [
        f'{key} {given[key]} instead of {wanted[key]}'
        for key in wanted
        if key in given and given[key] != wanted[key]
    ]
    if not (missing or unexpected or misshaped):
        return None
    fitting = sum(given.get(key) == shape for key, shape in wanted.items())
    problems = (('missing', missing), ('unexpected', unexpected), ('of another shape', misshaped))
    listed = [f'  {len(keys)} {name}: {_shortened(keys)}' for name, keys in problems if keys]
    misfit = '\n'.join([*listed, f'  {fitting} of {len(wanted)} fit'])
    if partly and fitting > 0:
        return misfit
    raise CheckpointError(
        f'{source} does not fit {type(model).__name__} as the config builds it:\n{misfit}. Use the '
        'config that the checkpoint was trained with, options included: each run keeps its own in '
        '<work dir>/<time of its start>/vis_data/config.py, and s2svr://NAME goes with '
        'configs/NAME.py. For weights of the official release see tools/convert_weights.py'
    )
