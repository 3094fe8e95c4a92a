# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow of clean frames as a label: better than one pass of the estimator that makes it."""

import hashlib
from functools import cached_property
from typing import Any

import torch
import torch.nn as nn
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from ...errors import ConfigError
from ...ops.lucas_kanade import refine_flow
from ...ops.occlusion import visible_mask
from ...version import __version__
from .estimators import pair_flows

LABELS = 'plain', 'flips', 'refine', 'flips+refine'
# Sides of the windows of the least-squares steps: first what a wide one agrees on, then details.
WINDOWS = 15, 9, 5


@torch.no_grad()
def label_flows(
    estimator: nn.Module, first: Tensor, second: Tensor, label: str = 'flips+refine'
) -> tuple[Tensor, Tensor]:
    """Compute the flows of pairs of frames in both directions as well as an estimator allows.

    Args:
        estimator (nn.Module): ``forward(ref, supp) -> flow``.
        first (Tensor): First frames, (n, 3, h, w), RGB in [0, 1].
        second (Tensor): Second frames, of the same shape.
        label (str): 'plain' for a single pass; 'flips' for the mean over the frames as they are,
            mirrored horizontally, vertically, and both; 'refine' for three steps of
            :func:`.refine_flow` after it; 'flips+refine' for both. Defaults to 'flips+refine'.

    Returns:
        tuple[Tensor, Tensor]: The flow that lives on ``first`` and the one that lives on
        ``second``, (n, 2, h, w), pixels, x first.

    Raises:
        ConfigError: If ``label`` is unknown.
    """
    check_label(label)
    flips: tuple[tuple[int, ...], ...] = ((),)
    if 'flips' in label:
        flips = (), (-1,), (-2,), (-2, -1)
    found = [
        [unflip(flow, dims) for flow in pair_flows(estimator, first.flip(dims), second.flip(dims))]
        for dims in flips
    ]
    on_first, on_second = (torch.stack(flows).mean(0) for flows in zip(*found, strict=True))
    if 'refine' in label:
        for window in WINDOWS:
            on_first = refine_flow(first, second, on_first, window)
            on_second = refine_flow(second, first, on_second, window)
    return on_first, on_second


@MODELS.register_module()
class FlowLabeler(BaseModule):
    """What :func:`label_flows` finds with an estimator, and where it is to be believed.

    Args:
        estimator (dict): Config of the estimator, with its weights.
        label (str): As for :func:`label_flows`. Defaults to 'flips+refine'.

    Raises:
        ConfigError: If ``label`` is unknown.
    """

    def __init__(self, estimator: dict, label: str = 'flips+refine') -> None:
        super().__init__()
        self.estimator = MODELS.build(estimator)
        self.label = check_label(label)
        self._settings = repr(_without_weights(estimator))

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of a hash of weights, settings and the package's version."""
        digest = hashlib.sha256(f'{__version__} {self.label} {self._settings}'.encode())
        for name, value in self.state_dict().items():
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Find the flows of pairs of frames.

        Args:
            first (Tensor): First frames, (n, 3, h, w), RGB in [0, 1].
            second (Tensor): Second frames, of the same shape.

        Returns:
            Tensor: (n, 6, h, w): the flow that lives on ``first``, that on ``second``, and 1 where
            each is consistent with the other, as :func:`.visible_mask` finds it, 0 elsewhere.
        """
        on_first, on_second = label_flows(self.estimator, first, second, self.label)
        visible = visible_mask(on_first, on_second), visible_mask(on_second, on_first)
        return torch.cat((on_first, on_second, *visible), 1)


def _without_weights(config: Any) -> Any:
    # Where weights lie says nothing about them.
    if isinstance(config, dict):
        kept = {key: value for key, value in config.items() if key != 'init_cfg'}
        return {key: _without_weights(value) for key, value in sorted(kept.items())}
    return config


def check_label(label: str) -> str:
    """Refuse a label that is not known.

    Args:
        label (str): As for :func:`label_flows`.

    Returns:
        str: The same.

    Raises:
        ConfigError: If it is another one.
    """
    if label not in LABELS:
        raise ConfigError(f'label must be one of {", ".join(LABELS)}, but got {label!r}.')
    return label


def unflip(flow: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Turn the flow of mirrored frames into that of the frames.

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first.
        dims (tuple[int, ...]): Mirrored dimensions: -1 for columns, -2 for rows.

    Returns:
        Tensor: (n, 2, h, w).
    """
    signs = flow.new_tensor([-1.0 if dim in dims else 1.0 for dim in (-1, -2)])
    return flow.flip(dims) * signs.view(2, 1, 1)
