# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Tiny networks with random weights, as files that a comparison takes."""

from pathlib import Path

import torch
from mmagic.models.editors import BasicVSRNet

from s2svr_mm.models import S2SVRNet

from . import tiny_flow  # noqa: F401

CONFIG = """
custom_imports = dict(imports=['s2svr_mm', 'helpers.tiny_flow'])
model = dict(
    type={kind!r},
    generator=dict({generator}),
    pixel_loss=dict(type='CharbonnierLoss'),
    data_preprocessor=dict(type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
)
"""


def write_model(
    folder: Path, name: str, scale: int = 4, seed: int = 0, strength: float = 30.0
) -> tuple[str, str, str]:
    """Write an S2SVR; ``strength`` is how far it changes the enlarged input."""
    torch.manual_seed(seed)
    network = S2SVRNet(4, 1, 2, scale=scale, flow_estimator=dict(type='TinyFlow'))
    network.decoder.output.convs[-1].weight.data.mul_(strength)
    generator = (
        f"type='S2SVRNet', mid_channels=4, num_blocks=1, num_layers=2, scale={scale}, "
        "flow_estimator=dict(type='TinyFlow')"
    )
    return _write(folder, name, 'S2SVR', generator, network)


def write_basicvsr(folder: Path, name: str) -> tuple[str, str, str]:
    """Write a BasicVSR of mmagic."""
    torch.manual_seed(0)
    network = BasicVSRNet(4, 1)
    return _write(
        folder, name, 'BasicVSR', "type='BasicVSRNet', mid_channels=4, num_blocks=1", network
    )


def _write(folder, name, kind, generator, network):
    config, checkpoint = folder / f'{name}.py', folder / f'{name}.pth'
    config.write_text(CONFIG.format(kind=kind, generator=generator))
    state = {f'generator.{key}': value for key, value in network.state_dict().items()}
    torch.save({'state_dict': state}, checkpoint)
    return name, str(config), str(checkpoint)
