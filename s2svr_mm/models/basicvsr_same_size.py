# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""BasicVSR for tasks that keep the size of the frames: the baseline of deblurring and the like."""

from collections.abc import Callable

import torch
from mmagic.models.editors import BasicVSRNet
from mmagic.registry import MODELS
from torch import Tensor, nn

from ..ops.pixel_unshuffle import shuffle, unshuffle, unshuffle_flow
from .input_requirements import InputRequirements


@MODELS.register_module()
class BasicVSRSameSizeNet(BasicVSRNet):
    """mmagic's BasicVSR without its upsampling, to compare S2SVR with at scale 1.

    Propagation and fusion are those of ``BasicVSRNet`` (Chan et al., CVPR 2021). Its pixel
    shuffles give way to plain convolutions, and the frame itself is added to what comes out:
    (n, t, 3, h, w) in [0, 1] becomes (n, t, 3, h, w).

    Args:
        mid_channels (int): Channels of the features. Defaults to 64.
        num_blocks (int): Residual blocks of each direction. Defaults to 30.
        spynet_pretrained (str, optional): File or address of SPyNet's weights. Defaults to None.
        unshuffle (int): As of :class:`.S2SVRPlusNet`. Defaults to 1.
    """

    input_requirements = InputRequirements(side=64, multiple=4, frames=2)
    scale = 1

    def __init__(
        self,
        mid_channels: int = 64,
        num_blocks: int = 30,
        spynet_pretrained: str | None = None,
        unshuffle: int = 1,
    ) -> None:
        super().__init__(mid_channels, num_blocks, spynet_pretrained)
        self.unshuffle = unshuffle
        channels = 3 * unshuffle**2
        if unshuffle > 1:
            for blocks in (self.backward_resblocks, self.forward_resblocks):
                blocks.main[0] = nn.Conv2d(mid_channels + channels, mid_channels, 3, padding=1)
        self.upsample1 = nn.Conv2d(mid_channels, mid_channels, 3, padding=1)
        self.upsample2 = nn.Conv2d(mid_channels, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, channels, 3, padding=1)
        self.img_upsample = nn.Identity()

    def compute_flow(self, lrs: Tensor) -> tuple[Tensor | None, Tensor]:
        """Compute the flows between neighbours, always on frames as they were.

        Args:
            lrs (Tensor): Frames, (n, t, 3, h, w), or unshuffled ones of more channels.

        Returns:
            tuple[Tensor | None, Tensor]: As ``BasicVSRNet.compute_flow``, for frames of this size.
        """
        if lrs.shape[2] == 3:
            return super().compute_flow(lrs)
        # Of frames that come mirrored, mmagic's network leaves the first of the flows out.
        forward, backward = super().compute_flow(shuffle(lrs, self.unshuffle))
        if forward is not None:
            forward = _by_frame(unshuffle_flow, forward, self.unshuffle)
        return forward, _by_frame(unshuffle_flow, backward, self.unshuffle)

    def forward(self, lrs: Tensor) -> Tensor:
        """Restore a clip.

        Args:
            lrs (Tensor): Frames, (n, t, 3, h, w), RGB in [0, 1].

        Returns:
            Tensor: Restored frames, (n, t, 3, h, w).
        """
        h, w = lrs.shape[-2:]
        restored = super().forward(_by_frame(unshuffle, lrs, self.unshuffle))
        return shuffle(restored, self.unshuffle)[..., :h, :w]


def _by_frame(function: Callable[..., Tensor], clip: Tensor, factor: int) -> Tensor:
    """Apply a function of frames to a clip (n, t, c, h, w)."""
    return torch.unflatten(function(clip.flatten(0, 1), factor), 0, clip.shape[:2])
