# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""S2SVR with what its paper does not have, for small networks."""

from typing import Any

import torch
from mmagic.registry import MODELS
from torch import Tensor

from ..errors import ConfigError
from ..ops.brightness import keep_brightness
from ..ops.lucas_kanade import refine_flow
from ..ops.pixel_unshuffle import shuffle, unshuffle, unshuffle_flow
from ..ops.warp import FlowSampler
from .conv_gru import maybe_checkpoint
from .detail_branch import DetailBranch
from .s2svr_net import S2SVRNet
from .slim_heads import SlimFeedbackHead, SlimOutputHead


@MODELS.register_module()
class S2SVRPlusNet(S2SVRNet):
    """S2SVR with what small networks need; each option is off unless it is configured.

    Args:
        mid_channels (int): See :class:`S2SVRNet`. Defaults to 64.
        num_blocks (int): See :class:`S2SVRNet`. Defaults to 13.
        num_layers (int): See :class:`S2SVRNet`. Defaults to 3.
        scale (int): See :class:`S2SVRNet`. Defaults to 4.
        unshuffle (int): Side of the squares of pixels that become one pixel of more channels, in
            which the network works: 1 for none, or 2 or 4 at scale 1, for about a quarter or a
            sixteenth of the cost. Defaults to 1.
        flow_input_size (tuple[int, int] | int, optional): As of :class:`S2SVRNet`, or how many
            times larger than they are frames are for the flow: PWC-Lite finds flow at a quarter of
            the size it sees, which is coarse for the small frames of super-resolution. Defaults to
            None.
        refine_flow (bool): Whether a step of :func:`.refine_flow` follows the estimator. Defaults
            to False.
        detail_branch (dict, optional): At scale 1, arguments of a :class:`.DetailBranch` beside the
            recurrence: ``num_blocks``, ``aligned``, ``in_place``. Defaults to None.
        slim_heads (bool): Whether the decoder's heads are :class:`.SlimOutputHead` and
            :class:`.SlimFeedbackHead`, which leave more arithmetic to the recurrence. Defaults to
            False.
        brightness_window (int, optional): Side, odd, in pixels of the input (in squares if
            ``unshuffle`` > 1), of the window over which restored frames keep the mean colour of the
            input (:func:`.keep_brightness`). Defaults to None: they need not.
        **kwargs: Further arguments of :class:`S2SVRNet`.

    Raises:
        ConfigError: If a size is not possible; the message says which.
    """

    def __init__(
        self,
        mid_channels: int = 64,
        num_blocks: int = 13,
        num_layers: int = 3,
        scale: int = 4,
        *,
        unshuffle: int = 1,
        flow_input_size: tuple[int, int] | int | None = None,
        refine_flow: bool = False,
        detail_branch: dict | None = None,
        slim_heads: bool = False,
        brightness_window: int | None = None,
        **kwargs: Any,
    ) -> None:
        if unshuffle not in (1, 2, 4) or (unshuffle > 1 and scale > 1):
            raise ConfigError(
                'unshuffle must be 1, or 2 or 4 with a scale of 1, but got '
                f'unshuffle={unshuffle} and scale={scale}.'
            )
        if detail_branch is not None and scale > 1:
            raise ConfigError(f'detail_branch needs a scale of 1, but got scale={scale}.')
        if isinstance(flow_input_size, int) and flow_input_size < 1:
            raise ConfigError(f'flow_input_size must be at least 1, but got {flow_input_size}.')
        if brightness_window is not None and (brightness_window < 1 or brightness_window % 2 == 0):
            raise ConfigError(
                f'brightness_window must be odd and positive, but got {brightness_window}.'
            )
        channels = 3 * unshuffle**2
        super().__init__(
            mid_channels, num_blocks, num_layers, scale, frame_channels=channels, **kwargs
        )
        self.unshuffle = unshuffle
        self.flow_input_size = flow_input_size
        self.refine_flow = refine_flow
        self.brightness_window = brightness_window
        if slim_heads:
            self.decoder.output = SlimOutputHead(mid_channels, scale, channels)
            self.decoder.feedback = SlimFeedbackHead(mid_channels, scale, channels)
            self.decoder.to(memory_format=torch.channels_last)
        self.details = None
        if detail_branch is not None:
            self.details = DetailBranch(mid_channels, unshuffle=unshuffle, **detail_branch)
            self.details.to(memory_format=torch.channels_last)

    def compute_flow(self, lqs: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the flows between neighbouring frames; see :meth:`S2SVRNet.compute_flow`."""
        flows_forward, flows_backward = super().compute_flow(lqs)
        if not self.refine_flow or lqs.shape[1] == 1:
            return flows_forward, flows_backward
        earlier, later = lqs[:, :-1], lqs[:, 1:]
        return (
            _refined(later, earlier, flows_forward),
            _refined(earlier, later, flows_backward),
        )

    def forward(self, lqs: Tensor, flows: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Restore a clip; see :meth:`S2SVRNet.forward`."""
        h, w = lqs.shape[-2:]
        flows = self.compute_flow(lqs) if flows is None else flows
        clip, *directions = (x.unbind(1) for x in (lqs, *flows))
        frames = [
            unshuffle(x, self.unshuffle).contiguous(memory_format=torch.channels_last) for x in clip
        ]
        to_next, to_previous = (
            [FlowSampler(unshuffle_flow(x, self.unshuffle)) for x in direction]
            for direction in directions
        )
        encoded, states = self.encoder(frames, to_next, to_previous, self.with_cp, self._make_list)
        if self.details is not None:
            for i in range(len(clip)):
                args = (i, clip, *directions)
                frames[i] = frames[i] + maybe_checkpoint(self.details, *args, with_cp=self.with_cp)
        restored = self.decoder(frames, encoded, states, to_next, to_previous, self.with_cp)
        if self.brightness_window is not None:
            for i, x in enumerate(clip):
                frame = unshuffle(x, self.unshuffle)
                restored[i] = keep_brightness(
                    restored[i], frame, self.scale, self.brightness_window
                )
        whole = shuffle(torch.stack(restored, dim=1), self.unshuffle)
        return whole[..., : self.scale * h, : self.scale * w]


def _refined(refs: Tensor, supps: Tensor, flows: Tensor) -> Tensor:
    """Refine flows pair by pair, all (n, t - 1, c, h, w)."""
    pairs = zip(refs.unbind(1), supps.unbind(1), flows.unbind(1), strict=True)
    return torch.stack([refine_flow(*pair) for pair in pairs], dim=1)
