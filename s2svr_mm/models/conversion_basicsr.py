# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""BasicVSR's weights from BasicSR to mmagic.

XPixelGroup/BasicSR (``archs/basicvsr_arch.py``) and mmagic have the same network with the same
tensors; the names alone differ.
"""

import re
from collections.abc import Mapping

import torch
from mmagic.models.editors import BasicVSRNet
from torch import Tensor

from .conversion import ConversionReport

# BasicSR counts SPyNet's ReLUs as layers, mmagic does not: 0, 2, 4, 6, 8 are its 0 to 4.
_SPYNET = re.compile(r'(spynet\.basic_module\.\d+\.basic_module)\.([02468])\.(weight|bias)')
_RENAMED = {
    'backward_trunk.': 'backward_resblocks.',
    'forward_trunk.': 'forward_resblocks.',
    'upconv1.': 'upsample1.upsample_conv.',
    'upconv2.': 'upsample2.upsample_conv.',
}


def is_basicsr_basicvsr(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether these are weights of BasicSR's BasicVSR.

    Args:
        state_dict (Mapping[str, Tensor]): Weights of any network.

    Returns:
        bool: True for names that only BasicSR's BasicVSR and IconVSR have.
    """
    return any(key.startswith('backward_trunk.') for key in state_dict)


def from_basicsr_basicvsr(
    state_dict: Mapping[str, Tensor], report: ConversionReport | None = None
) -> dict[str, Tensor]:
    """Convert weights of BasicSR's BasicVSR to those of mmagic's ``BasicVSRNet``.

    Args:
        state_dict (Mapping[str, Tensor]): BasicSR's weights (what its files hold under 'params').
        report (ConversionReport, optional): Filled with what became of every key.

    Returns:
        dict[str, Tensor]: The same weights under mmagic's names.

    Raises:
        CheckpointError: If a key is unknown, missing or mis-shaped; the message lists them all.
    """
    report = ConversionReport() if report is None else report
    wanted = _expected(state_dict)
    new = {}
    for old, tensor in state_dict.items():
        name = _renamed(old)
        if name not in wanted:
            report.unknown.append(old)
            continue
        if tensor.shape != wanted[name].shape:
            report.misshapen.append(
                f'{old} {tuple(tensor.shape)}, expected {tuple(wanted[name].shape)} for {name}'
            )
        new[name] = tensor.detach().clone()
        report.converted[name] = (old,)
    report.missing += [f'{name} (by its name in mmagic)' for name in wanted if name not in new]
    report.check()
    return new


def _renamed(key: str) -> str:
    """Return a key's name in mmagic."""
    if match := _SPYNET.fullmatch(key):
        return f'{match[1]}.{int(match[2]) // 2}.conv.{match[3]}'
    for old, new in _RENAMED.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def _expected(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of mmagic's network of the width and depth that these have."""
    numbers = (re.match(r'(?:backward|forward)_trunk\.main\.2\.(\d+)\.', key) for key in state_dict)
    num_blocks = max((int(match[1]) + 1 for match in numbers if match), default=1)
    first = state_dict.get('backward_trunk.main.0.weight')
    width = 64 if first is None else first.shape[0]
    with torch.device('meta'):
        network = BasicVSRNet(width, num_blocks)
    return network.state_dict()
