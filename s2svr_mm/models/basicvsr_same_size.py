# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""BasicVSR for tasks that keep the size of the frames: the baseline of deblurring and the like."""

from mmagic.models.editors import BasicVSRNet
from mmagic.registry import MODELS
from torch import nn


@MODELS.register_module()
class BasicVSRSameSizeNet(BasicVSRNet):
    """mmagic's BasicVSR without its upsampling, to compare S2SVR with at scale 1.

    Propagation and fusion are those of ``BasicVSRNet`` (Chan et al., CVPR 2021). Its pixel
    shuffles give way to plain convolutions, and the frame itself is added to what comes out:
    (n, t, 3, h, w) in [0, 1] becomes (n, t, 3, h, w).

    Args:
        mid_channels (int): Channels of the features. Default: 64.
        num_blocks (int): Residual blocks of each direction. Default: 30.
        spynet_pretrained (str, optional): File or address of SPyNet's weights. Default: None.
    """

    def __init__(
        self, mid_channels: int = 64, num_blocks: int = 30, spynet_pretrained: str | None = None
    ) -> None:
        super().__init__(mid_channels, num_blocks, spynet_pretrained)
        self.upsample1 = nn.Conv2d(mid_channels, mid_channels, 3, padding=1)
        self.upsample2 = nn.Conv2d(mid_channels, 64, 3, padding=1)
        self.img_upsample = nn.Identity()
