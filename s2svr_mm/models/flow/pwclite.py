# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""PWC-Lite: the optical-flow network of S2SVR."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from ...checkpoints.matching import StrictInit
from ...errors import ConfigError, DataError
from ...ops.chunking import in_chunks
from ...ops.cost_volume import cost_volume
from ...ops.padding import pad_to
from ...ops.warp import PADDING_MODES, warp


def conv(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Make a convolution that keeps the size, but for its stride."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
    )


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1, inplace=True)


def zero_init(name: str) -> dict:
    """Start a layer at zero, so that an untrained network adds nothing to a flow."""
    return dict(type='Constant', val=0, bias=0, override=dict(name=name))


class FeaturePyramid(BaseModule):
    """Six halvings of the frame, two convolutions each.

    Args:
        channels (tuple[int]): Channels of the levels, finest first.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            conv(i, o, stride=2) for i, o in zip((3, *channels[:-1]), channels, strict=True)
        )
        self.same = nn.ModuleList(conv(c, c) for c in channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Extract features.

        Args:
            x (Tensor): (n, 3, h, w), h and w multiples of 64.

        Returns:
            list[Tensor]: Features at 1/64, 1/32, 1/16, 1/8 and 1/4, coarsest first. (Those at
            1/2 are on the way, but no flow is estimated there.)
        """
        levels = []
        for down, same in zip(self.down, self.same, strict=True):
            x = _lrelu(same(_lrelu(down(x))))
            levels.append(x)
        return levels[:0:-1]


class FlowDecoder(BaseModule):
    """Residual flow from a cost volume, features and the flow so far, with few connections.

    Args:
        in_channels (int): Channels of the input.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__(init_cfg=zero_init('predict'))
        self.conv1 = conv(in_channels, 128)
        self.conv2 = conv(128, 128)
        self.conv3 = conv(128 + 128, 96)
        self.conv4 = conv(128 + 96, 64)
        self.conv5 = conv(96 + 64, 32)
        self.predict = conv(64 + 32, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate a residual flow.

        Args:
            x (Tensor): (n, in_channels, h, w).

        Returns:
            tuple[Tensor, Tensor]: Features (n, 32, h, w) and flow (n, 2, h, w).
        """
        x1 = _lrelu(self.conv1(x))
        x2 = _lrelu(self.conv2(x1))
        x3 = _lrelu(self.conv3(torch.cat((x1, x2), 1)))
        x4 = _lrelu(self.conv4(torch.cat((x2, x3), 1)))
        x5 = _lrelu(self.conv5(torch.cat((x3, x4), 1)))
        return x5, self.predict(torch.cat((x4, x5), 1))


class ContextNetwork(BaseModule):
    """Dilated convolutions that refine a flow within a wide neighbourhood."""

    def __init__(self) -> None:
        super().__init__(init_cfg=zero_init('last'))
        channels, dilations = (34, 128, 128, 128, 96, 64, 32), (1, 2, 4, 8, 16, 1)
        self.convs = nn.ModuleList(
            conv(i, o, dilation=d)
            for i, o, d in zip(channels[:-1], channels[1:], dilations, strict=True)
        )
        self.last = conv(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Refine a flow.

        Args:
            x (Tensor): Features and flow, (n, 34, h, w).

        Returns:
            Tensor: Residual flow, (n, 2, h, w).
        """
        for conv in self.convs:
            x = _lrelu(conv(x))
        return self.last(x)


@MODELS.register_module()
class PWCLite(StrictInit):
    """PWC-Lite, 2.24 M parameters.

    Paper: Learning by Analogy: Reliable Supervision from Transformations for Unsupervised
    Optical Flow Estimation (ARFlow), CVPR 2020. From 1/64 to 1/4 of the size, one estimator and
    one context network shared by all levels add to the flow of the level before.

    Args:
        padding_mode (str): What warped features show from outside the frame: ``'border'`` (as
            ARFlow was trained) or ``'zeros'`` (as the official S2SVR runs it). Defaults to
            ``'border'``.
        radius (int): Radius of the cost volume. Defaults to 4.
        normalize_features (bool): Whether the features of a frame lose the mean of each channel
            and then have unit mean square at each pixel, so that the cost volume holds cosines.
            What Matters in Unsupervised Optical Flow (ECCV 2020) found training without labels to
        need a normalization, but one over all channels leaves their means, beside which what
            tells pixels apart is little: at 1/4 to 1/16 of the size, an untrained network's best
            match lay in the right place for 5 to 20 % of the pixels, with this one for 40 to
            100 %. The official weights are made without. Defaults to False.
        context_levels (int): How many levels, coarsest first, the context network refines. Defaults
            to 5 (all). At the finest it is 30 % of the network's arithmetic, which finer levels on
            top (:class:`FinePWCLite`) spend better.
        init_cfg (dict, optional): Initialization config. ``dict(type='Pretrained',
            checkpoint=..., prefix=...)`` loads weights, all of them or none: see
            :func:`~s2svr_mm.checkpoints.matching.load_into`. Defaults to Kaiming's, with
            ``normalize_features`` rescaled so that the cost volume counts.

    Raises:
        ConfigError: If ``padding_mode`` is unknown or ``context_levels`` not from 1 to 5.
    """

    stride = 64

    def __init__(
        self,
        padding_mode: str = 'border',
        radius: int = 4,
        normalize_features: bool = False,
        context_levels: int = 5,
        init_cfg: dict | None = None,
    ) -> None:
        init_cfg = init_cfg or dict(type='Kaiming', layer='Conv2d', a=0.1)
        super().__init__(init_cfg=init_cfg)
        if padding_mode not in PADDING_MODES:
            raise ConfigError(f'padding_mode must be in {PADDING_MODES}, but got {padding_mode!r}.')
        if not 0 < context_levels <= 5:
            raise ConfigError(f'context_levels must be from 1 to 5, but got {context_levels}.')
        self.padding_mode = padding_mode
        self.context_levels = context_levels
        self.radius = radius
        self.normalize_features = normalize_features
        channels = (16, 32, 64, 96, 128, 192)
        self.pyramid = FeaturePyramid(channels)
        self.reduce = nn.ModuleList(conv(c, 32, kernel=1) for c in channels[:0:-1])
        self.decoder = FlowDecoder((2 * radius + 1) ** 2 + 32 + 2)
        self.context = ContextNetwork()
        self.to(memory_format=torch.channels_last)

    def init_weights(self) -> None:
        """Initialize the weights as ``init_cfg`` says.

        Cosines are a tenth of the size of the features that stand beside them in the decoder's
        input: in a network from scratch, nothing would be learnt from them for a thousand steps.
        """
        fresh = not self.is_init and self.init_cfg['type'] != 'Pretrained'
        super().init_weights()
        if self.normalize_features and fresh:
            with torch.no_grad():
                self.decoder.conv1.weight[:, : (2 * self.radius + 1) ** 2] *= 10
                for name, parameter in self.reduce.named_parameters():
                    if name.endswith('weight'):
                        parameter.mul_(0.1)

    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        """Estimate the flow of pairs of frames.

        Args:
            ref (Tensor): Reference frames, (n, 3, h, w), RGB in [0, 1], of any size.
            supp (Tensor): Supporting frames, of the same shape.

        Returns:
            Tensor: (n, 2, h, w), pixels, x first: where in ``supp`` to find each pixel of
            ``ref``.

        Raises:
            DataError: If the frames are no pair; see :func:`check_pair`.
        """
        return self.flow_pyramid(ref, supp)[0]

    def flow_pyramid(self, ref: Tensor, supp: Tensor) -> list[Tensor]:
        """Estimate the flow of pairs of frames, with that of every level.

        Args:
            ref (Tensor): Reference frames, (n, 3, h, w), RGB in [0, 1], of any size.
            supp (Tensor): Supporting frames, of the same shape.

        Returns:
            list[Tensor]: Five flows, finest first: at the frames' size (what :meth:`forward`
            returns), a half, a quarter, an eighth and a sixteenth of it, rounded up; each in
            pixels of its size.

        Raises:
            DataError: If the frames are no pair; see :func:`check_pair`.
        """
        check_pair(ref, supp)
        levels = [level.chunk(2) for level in self._features(torch.cat((ref, supp)))]
        return _enlarged(self._decode(*zip(*levels, strict=True)), ref.shape[-2:])

    def flow_pyramids(self, first: Tensor, second: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Estimate what :meth:`flow_pyramid` does in both directions, features computed once.

        Args:
            first (Tensor): (n, 3, h, w), RGB in [0, 1], of any size.
            second (Tensor): Of the same shape.

        Returns:
            tuple[list[Tensor], list[Tensor]]: The flows that live on ``first`` and those that
            live on ``second``.

        Raises:
            DataError: If the frames are no pair; see :func:`check_pair`.
        """
        check_pair(first, second)
        both = self._features(torch.cat((first, second)))
        swapped = [torch.cat(level.chunk(2)[::-1]) for level in both]
        flows = _enlarged(self._decode(both, swapped), first.shape[-2:])
        forwards, backwards = zip(*(flow.chunk(2) for flow in flows), strict=True)
        return list(forwards), list(backwards)

    def neighbour_flows(self, frames: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Estimate the flows between neighbours, the features of each frame computed once.

        Args:
            frames (list[Tensor]): t >= 2 frames of shape (n, 3, h, w), RGB in [0, 1].

        Returns:
            tuple[list[Tensor], list[Tensor]]: For each i, the flow that lives on frame i + 1 and
            samples frame i, and the one that lives on frame i and samples frame i + 1; t - 1
            tensors each, (n, 2, h, w).
        """
        n, _, h, w = frames[0].shape
        features = list(in_chunks(self._features, frames))
        ref, supp = features[1:] + features[:-1], features[:-1] + features[1:]
        num_levels = len(self.reduce)

        def decode(*levels: Tensor) -> Tensor:
            flows = self._decode(levels[:num_levels], levels[num_levels:])
            return _upsample(flows[-1], 4)[..., :h, :w]

        levels = (*zip(*ref, strict=True), *zip(*supp, strict=True))
        flows = list(in_chunks(decode, *levels, pixels=n * h * w))
        return flows[: len(frames) - 1], flows[len(frames) - 1 :]

    def _features(self, frame: Tensor) -> list[Tensor]:
        frame = frame.contiguous(memory_format=torch.channels_last)
        levels = self.pyramid(pad_to(frame, self.stride))
        return [unit_features(level) for level in levels] if self.normalize_features else levels

    def _decode(self, ref: Sequence[Tensor], supp: Sequence[Tensor]) -> list[Tensor]:
        """Estimate flow from two pyramids.

        Args:
            ref (Sequence[Tensor]): Features of the reference frames, coarsest first.
            supp (Sequence[Tensor]): Features of the supporting frames.

        Returns:
            list[Tensor]: The flow of each level, in pixels of that level, coarsest first, the
            last at 1/4 of the size.
        """
        flows: list[Tensor] = []
        for reduce, x1, x2 in zip(self.reduce, ref, supp, strict=True):
            if flows:
                flow = _upsample(flows[-1], 2)
                x2 = warp(x2, flow, self.padding_mode)
            else:
                flow = x1.new_zeros(x1.shape[0], 2, *x1.shape[2:], dtype=torch.float32)
            cost = _lrelu(cost_volume(x1, x2, self.radius))
            state = torch.cat((cost, _lrelu(reduce(x1)), flow.to(cost.dtype)), 1)
            features, residual = self.decoder(state)
            flow = flow + residual
            if len(flows) < self.context_levels:
                flow = flow + self.context(torch.cat((features, flow.to(features.dtype)), 1))
            flows.append(flow)
        return flows


def check_pair(ref: Tensor, supp: Tensor) -> None:
    """Refuse what is no pair of frames.

    Args:
        ref (Tensor): Reference frames.
        supp (Tensor): Supporting frames.

    Raises:
        DataError: If the shapes differ or are not (n, 3, h, w), or a value is NaN or infinite.
    """
    if ref.shape != supp.shape or ref.ndim != 4 or ref.shape[1] != 3:
        raise DataError(
            'Flow needs two batches of frames of one shape (n, 3, h, w), but got '
            f'{tuple(ref.shape)} and {tuple(supp.shape)}.'
        )
    for name, frames in (('reference', ref), ('supporting', supp)):
        if not frames.isfinite().all():
            raise DataError(
                f'The {name} frames hold {(~frames.isfinite()).sum()} values that are NaN or '
                'infinite: flow needs RGB in [0, 1].'
            )


def unit_features(features: Tensor) -> Tensor:
    """Subtract the mean of each channel, then scale each pixel to unit mean square, in float32."""
    features = features.float()
    features = features - features.mean((2, 3), keepdim=True)
    return features * torch.rsqrt(features.square().mean(1, keepdim=True) + 1e-4)


def _enlarged(flows: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
    """Bring the flows of the levels to four times their size, finest first, without padding."""
    h, w = size
    return [
        _upsample(flow, 4)[..., : -(-h // 2**i), : -(-w // 2**i)]
        for i, flow in enumerate(reversed(flows))
    ]


def _upsample(flow: Tensor, factor: int) -> Tensor:
    """Enlarge a flow and its values; corners stay on corners, as ARFlow does it."""
    return F.interpolate(flow * factor, scale_factor=factor, mode='bilinear', align_corners=True)
