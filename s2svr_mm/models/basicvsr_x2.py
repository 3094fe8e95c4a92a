# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""BasicVSR for x2 super-resolution: the baseline of the small networks for videos."""

from mmagic.models.editors import BasicVSRNet
from mmagic.registry import MODELS
from torch import nn

from .input_requirements import InputRequirements


@MODELS.register_module()
class BasicVSRX2Net(BasicVSRNet):
    """mmagic's BasicVSR, which knows x4 only, for x2, to compare S2SVR with.

    Propagation and fusion are those of ``BasicVSRNet`` (Chan et al., CVPR 2021). The first of its
    two pixel shuffles gives way to a plain convolution: (n, t, 3, h, w) in [0, 1] becomes
    (n, t, 3, 2h, 2w).

    Args:
        mid_channels (int): Channels of the features. Defaults to 64.
        num_blocks (int): Residual blocks of each direction. Defaults to 30.
        spynet_pretrained (str, optional): File or address of SPyNet's weights. Defaults to None.
    """

    input_requirements = InputRequirements(side=64, multiple=4, frames=2)
    scale = 2

    def __init__(
        self,
        mid_channels: int = 64,
        num_blocks: int = 30,
        spynet_pretrained: str | None = None,
    ) -> None:
        super().__init__(mid_channels, num_blocks, spynet_pretrained)
        self.upsample1 = nn.Conv2d(mid_channels, mid_channels, 3, padding=1)
        self.img_upsample = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)
