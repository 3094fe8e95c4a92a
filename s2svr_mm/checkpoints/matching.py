# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Whether weights fit a module, and loading them: all of them, or none."""

import os
from collections.abc import Iterable, Mapping, Sequence

from mmengine.logging import print_log
from mmengine.model import BaseModule, is_model_wrapper
from torch import Size, Tensor, nn

from ..errors import CheckpointError
from .files import read_weights

# Under these prefixes the checkpoints of whole models hold a network or its flow estimator;
# averaged weights come before others.
_PARTS = (
    '',
    'generator_ema.',
    'generator.',
    'estimator.',
    'flow_estimator.',
    'generator_ema.flow_estimator.',
    'generator.flow_estimator.',
)
# Names that only networks of other projects give their weights.
_FOREIGN = ('feature_pyramid_extractor.', 'conv_gru.conv', 'backward_trunk.')


class StrictInit(BaseModule):
    """A module whose ``init_cfg`` of type 'Pretrained' loads all of its weights or fails.

    mmengine's own leaves out what does not fit and goes on.
    """

    def init_weights(self) -> None:
        """Initialize the weights as ``init_cfg`` says.

        Raises:
            CheckpointError: If the weights of the checkpoint do not fit.
        """
        cfg = self.init_cfg
        if isinstance(cfg, dict) and cfg['type'] == 'Pretrained':
            source = cfg['checkpoint']
            load_into(self, read_weights(source), source, cfg.get('prefix'))
            print_log(f'{type(self).__name__}: weights from {source}', logger='current')
            self.is_init = True
        else:
            super().init_weights()


def load_into(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    source: str | os.PathLike,
    prefix: str | None = None,
    renewed: str | None = None,
) -> None:
    """Load weights into a module; every one of both is accounted for.

    Args:
        module: Gets the weights, of its own type and on its own device.
        weights: As :func:`.read_weights` returns them: those of the module alone, or of a model
            that holds it (``generator.``, ``estimator.``, ...); those of a network alone also go
            into a model around it.
        source: Where they come from, for messages.
        prefix: What stands before the module's names, such as ``'flow_head.teacher'``. Defaults
            to None: the place where it fits best.
        renewed: Beginning of the names of a part that keeps the weights it has unless the
            checkpoint's fit all of it. Defaults to None.

    Raises:
        CheckpointError: If a weight is missing, left over, or of another shape; the module is then
            as it was. Counters (buffers of a single element) may be missing or left over.
    """
    state, _ = match_weights(module, weights, source, prefix, renewed)
    _unwrapped(module).load_state_dict(state)


def match_weights(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    source: str | os.PathLike,
    prefix: str | None = None,
    renewed: str | None = None,
    partly: bool = False,
) -> tuple[dict[str, Tensor], str | None]:
    """Find a module's weights among those of a checkpoint, as :func:`load_into` does.

    Args:
        module: As for :func:`load_into`.
        weights: As for :func:`load_into`.
        source: As for :func:`load_into`.
        prefix: As for :func:`load_into`.
        renewed: As for :func:`load_into`.
        partly: Whether it is enough that some of the weights fit (fine-tuning).

    Returns:
        tuple[dict[str, Tensor], str | None]: A state dict of the whole module, its own weights
        where the checkpoint has none; and what does not fit, None if all fits.

    Raises:
        CheckpointError: As :func:`load_into`.
    """
    module = _unwrapped(module)
    own = module.state_dict()
    given = _cut(weights, f'{prefix.rstrip(".")}.') if prefix else _best_view(weights, own)
    buffers = {name: buffer.numel() for name, buffer in module.named_buffers()}
    counters = {name for name, size in buffers.items() if size == 1}
    # Constants that are not saved may lie in older files, and counters in those of other models.
    given = {
        name: value
        for name, value in given.items()
        if name in own or not (name in buffers or (value.numel() == 1 and '.' not in name))
    }
    if renewed:
        part = {name: value for name, value in own.items() if name.startswith(renewed)}
        found = {name: value for name, value in given.items() if name.startswith(renewed)}
        if _shapes(found) != _shapes(part):
            given = {name: value for name, value in given.items() if name not in found} | part
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    misfit = _describe(given, own, counters, len(fitting))
    if misfit and not (partly and fitting.keys() - counters):
        under = f' under the prefix {prefix!r}' if prefix else ''
        raise CheckpointError(
            f'{source} does not fit {type(module).__name__}{under}:\n{misfit}\n{_advice(weights)}'
        )
    return own | fitting, misfit


def _unwrapped(module: nn.Module) -> nn.Module:
    return module.get_submodule('module') if is_model_wrapper(module) else module


def _cut(weights: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    """Return what lies under a prefix, without it."""
    return {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}


def _best_view(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the names that a module knows most of."""
    whole = dict(weights)
    averaged = _cut(weights, 'generator_ema.')
    if averaged and not any(name.startswith('generator_ema.') for name in own):
        rest = {k: v for k, v in weights.items() if not k.startswith('generator_ema.')}
        whole = rest | _under('generator.', averaged)
    views = [whole, *(_cut(weights, part) for part in _PARTS), _under('generator.', weights)]
    return max(views, key=lambda view: sum(name in own for name in view))


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, Size]:
    return {name: value.shape for name, value in weights.items()}


def _under(start: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {start + name: value for name, value in weights.items()}


def _describe(
    given: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    counters: Iterable[str],
    fitting: int,
) -> str | None:
    missing = [name for name in own if name not in given and name not in counters]
    unexpected = [name for name in given if name not in own]
    misshapen = [
        f'{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}'
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    ]
    if not (missing or unexpected or misshapen):
        return None
    problems = (('missing', missing), ('unexpected', unexpected), ('of another shape', misshapen))
    lines = [f'  {len(names)} {what}: {_shortened(names)}' for what, names in problems if names]
    return '\n'.join([*lines, f'  {fitting} of {len(own)} fit'])


def _shortened(names: Sequence[str], limit: int = 4) -> str:
    rest = len(names) - limit
    return ', '.join(names[:limit]) + (f' and {rest} more' if rest > 0 else '')


def _advice(weights: Iterable[str]) -> str:
    if any(part in name for name in weights for part in _FOREIGN):
        return (
            'The names are those of the official release or of BasicSR: convert the file first, '
            'with s2svr convert-weights (tools/convert_weights.py)'
        )
    return (
        'Use the config that the checkpoint was trained with, options included: each run keeps its '
        'own in <work dir>/<time of its start>/vis_data/config.py, and s2svr://NAME goes with '
        'configs/NAME.py'
    )
