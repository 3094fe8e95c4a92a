# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""An optical flow network that costs nothing, for tests of networks that need one."""

import torch
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn


@MODELS.register_module()
class TinyFlow(BaseModule):
    """Two convolutions where PWC-Lite has 2.24 M parameters; its flow starts at zero."""

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.features = nn.Conv2d(6, 4, 3, padding=1)
        self.decoder = nn.ModuleDict({'predict': nn.Conv2d(4, 2, 3, padding=1)})
        nn.init.zeros_(self.decoder['predict'].weight)
        nn.init.zeros_(self.decoder['predict'].bias)

    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        return self.decoder['predict'](self.features(torch.cat((ref, supp), 1)).tanh()).float()
