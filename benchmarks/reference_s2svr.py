# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The S2SVR network as its formulas read: the reference implementation for :class:`S2SVRNet`.

Nothing here is fast: one pair of frames and one frame at a time, every convolution on its own,
contiguous float32, warps through ``F.grid_sample``, cost volumes shift by shift. Its modules bear
the official names, so that a state dict of the official release loads with ``strict=False`` (four
layers that the release never uses are not made). Tests compare values and gradients with it, and
the benchmark measures against it.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.models.archs import ResidualBlockNoBN
from mmagic.models.utils import flow_warp, make_layer
from torch import Tensor


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def _warp(x: Tensor, flow: Tensor, padding_mode: str = 'zeros') -> Tensor:
    return flow_warp(x, flow.permute(0, 2, 3, 1), padding_mode=padding_mode)


def _conv(i: int, o: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, padding, dilation))


class _ConvGRU(nn.Module):
    def __init__(self, channels: int, in_channels: int) -> None:
        super().__init__()
        for gate in 'zrq':
            conv = nn.Conv2d(channels + in_channels, channels, 3, padding=1)
            self.add_module(f'conv{gate}', conv)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        z = torch.sigmoid(self.convz(torch.cat((h, x), 1)))
        r = torch.sigmoid(self.convr(torch.cat((h, x), 1)))
        q = torch.tanh(self.convq(torch.cat((r * h, x), 1)))
        return (1 - z) * h + z * q


class _ResConvGRU(nn.Module):
    def __init__(self, channels: int, in_channels: int, blocks: int, fuse: bool = False) -> None:
        super().__init__()
        self.conv_gru = _ConvGRU(channels, in_channels)
        self.resblocks = make_layer(ResidualBlockNoBN, blocks, mid_channels=channels)
        if fuse:
            self.fusion = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, h: Tensor, x: Tensor, other: Tensor | None = None) -> Tensor:
        h = self.conv_gru(h, x)
        if other is not None:
            h = _lrelu(self.fusion(torch.cat((h, other), 1)))
        return self.resblocks(h)


class _Encoder(nn.Module):
    def __init__(self, channels: int, blocks: int, layers: int) -> None:
        super().__init__()
        self.channels = channels
        self.encoder_layer1_f = _ResConvGRU(channels, 3, blocks)
        self.encoder_layer1_b = _ResConvGRU(channels, 3, blocks, fuse=True)
        self.encoder_layers = nn.ModuleList(
            _ResConvGRU(channels, channels, blocks) for _ in range(layers - 1)
        )

    def _ahead(self, layer: nn.Module, xs: list[Tensor], flows: Tensor) -> list[Tensor]:
        n, _, height, width = xs[0].shape
        h = xs[0].new_zeros(n, self.channels, height, width)
        states = []
        for i, x in enumerate(xs):
            if i > 0:
                h = _warp(h, flows[:, i - 1])
            h = layer(h, x)
            states.append(h)
        return states

    def forward(
        self, frames: list[Tensor], flows_forward: Tensor, flows_backward: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        ahead = self._ahead(self.encoder_layer1_f, frames, flows_forward)
        h = torch.zeros_like(ahead[0])
        outputs: list[Tensor] = []
        for i in reversed(range(len(frames))):
            if outputs:
                h = _warp(h, flows_backward[:, i])
            h = self.encoder_layer1_b(h, frames[i], ahead[i])
            outputs.insert(0, h)
        handed = [ahead[-1]]
        for layer in self.encoder_layers:
            states = self._ahead(layer, outputs, flows_forward)
            outputs = [x + h for x, h in zip(outputs, states, strict=True)]
            handed.append(outputs[-1])
        return outputs, handed


class _Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn = nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False)
        self.v = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, query: Tensor, values: list[Tensor]) -> Tensor:
        scores = [self.v(torch.tanh(self.attn(torch.cat((query, e), 1)))) for e in values]
        weights = torch.softmax(torch.stack(scores), 0)
        return (weights * torch.stack(values)).sum(0)


class _Decoder(nn.Module):
    def __init__(self, channels: int, blocks: int, layers: int, scale: int) -> None:
        super().__init__()
        c = channels
        self.scale = scale
        self.convgru_layers = nn.ModuleList(_ConvGRU(c, c) for _ in range(layers))
        self.recon_layers = nn.ModuleList(
            make_layer(ResidualBlockNoBN, blocks, mid_channels=c) for _ in range(layers)
        )
        self.fution_layers = nn.ModuleList(
            nn.Conv2d(2 * c, c, 3, padding=1) for _ in range(layers - 1)
        )
        self.attention = _Attention(c)
        out = (c, c, c, 3) if scale == 1 else (c, 4 * c, 2 * c, 3 * scale**2)
        for i in range(3):
            self.add_module(f'conv_out_{i + 1}', nn.Conv2d(out[i], out[i + 1], 3, padding=1))
        into = (3, c // 2, c, 2 * c, c)
        strides = {1: (1, 1, 1, 1), 2: (1, 2, 1, 1), 4: (1, 2, 2, 1)}[scale]
        for i, stride in enumerate(strides):
            kernel = 5 if stride == 2 else 3
            conv = nn.Conv2d(into[i], into[i + 1], kernel, stride, kernel // 2)
            self.add_module(f'conv_inp_{i + 1}', conv)

    def _restore(self, x: Tensor, frame: Tensor) -> Tensor:
        out = self.conv_out_3(_lrelu(self.conv_out_2(_lrelu(self.conv_out_1(x)))))
        if self.scale == 1:
            return out + frame
        for _ in range(self.scale // 2):
            out = F.pixel_shuffle(out, 2)
        return out + F.interpolate(frame, scale_factor=self.scale, mode='bilinear')

    def _read(self, y: Tensor) -> Tensor:
        for i in range(4):
            y = _lrelu(self.get_submodule(f'conv_inp_{i + 1}')(y))
        return y

    def forward(
        self,
        frames: list[Tensor],
        encoded: list[Tensor],
        states: list[Tensor],
        flows_forward: Tensor,
        flows_backward: Tensor,
    ) -> list[Tensor]:
        last = len(frames) - 1
        states = list(states)
        restored: list[Tensor] = []
        x = encoded[-1]
        for i in reversed(range(len(frames))):
            if i < last:
                x = _warp(self._read(restored[0]), flows_backward[:, i])
                states = [_warp(h, flows_backward[:, i]) for h in states]
            earlier = _warp(encoded[i - 1], flows_forward[:, i - 1]) if i > 0 else encoded[i]
            later = _warp(encoded[i + 1], flows_backward[:, i]) if i < last else encoded[i]
            states[0] = self.convgru_layers[0](states[0], x)
            x = self.recon_layers[0](states[0])
            context = self.attention(x, [earlier, encoded[i], later])
            for k, fusion in enumerate(self.fution_layers, 1):
                fused = _lrelu(fusion(torch.cat((x, context), 1)))
                states[k] = self.convgru_layers[k](states[k], fused)
                x = self.recon_layers[k](states[k]) + x
            restored.insert(0, self._restore(x, frames[i]))
        return restored


class _PWCLite(nn.Module):
    def __init__(self, padding_mode: str) -> None:
        super().__init__()
        self.padding_mode = padding_mode
        c = (3, 16, 32, 64, 96, 128, 192)
        self.feature_pyramid_extractor = nn.Module()
        self.feature_pyramid_extractor.convs = nn.ModuleList(
            nn.Sequential(_conv(c[i], c[i + 1], stride=2), _conv(c[i + 1], c[i + 1]))
            for i in range(6)
        )
        self.flow_estimators = nn.Module()
        sizes = ((115, 128), (128, 128), (256, 96), (224, 64), (160, 32))
        for i, (a, b) in enumerate(sizes, 1):
            self.flow_estimators.add_module(f'conv{i}', _conv(a, b))
        self.flow_estimators.predict_flow = _conv(96, 2)
        self.context_networks = nn.Module()
        sizes = ((34, 128), (128, 128), (128, 128), (128, 96), (96, 64), (64, 32), (32, 2))
        self.context_networks.convs = nn.ModuleList(
            _conv(a, b, dilation=d) for (a, b), d in zip(sizes, (1, 2, 4, 8, 16, 1, 1), strict=True)
        )
        self.conv_1x1 = nn.ModuleList(_conv(c[i], 32, kernel=1) for i in (6, 5, 4, 3, 2))

    def _pyramid(self, x: Tensor) -> list[Tensor]:
        levels = []
        for down, same in self.feature_pyramid_extractor.convs:
            x = _lrelu(same(_lrelu(down(x))))
            levels.insert(0, x)
        return levels[:5]

    def _estimate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        e = self.flow_estimators
        x1 = _lrelu(e.conv1(x))
        x2 = _lrelu(e.conv2(x1))
        x3 = _lrelu(e.conv3(torch.cat((x1, x2), 1)))
        x4 = _lrelu(e.conv4(torch.cat((x2, x3), 1)))
        x5 = _lrelu(e.conv5(torch.cat((x3, x4), 1)))
        return x5, e.predict_flow(torch.cat((x4, x5), 1))

    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        flow = None
        for reduce, a, b in zip(
            self.conv_1x1, self._pyramid(ref), self._pyramid(supp), strict=True
        ):
            if flow is None:
                flow = torch.zeros_like(a[:, :2])
            else:
                flow = F.interpolate(2 * flow, None, 2, 'bilinear', align_corners=True)
                b = _warp(b, flow, self.padding_mode)
            cost = _lrelu(reference_cost_volume(a, b))
            features, residual = self._estimate(torch.cat((cost, _lrelu(reduce(a)), flow), 1))
            flow = flow + residual
            x = torch.cat((features, flow), 1)
            for conv in self.context_networks.convs[:-1]:
                x = _lrelu(conv(x))
            flow = flow + self.context_networks.convs[-1](x)
        return F.interpolate(4 * flow, None, 4, 'bilinear', align_corners=True)


def reference_cost_volume(ref: Tensor, supp: Tensor, radius: int = 4) -> Tensor:
    """Compute the cost volume of :func:`s2svr_mm.ops.cost_volume`, shift by shift.

    Args:
        ref (Tensor): (n, c, h, w).
        supp (Tensor): (n, c, h, w).
        radius (int): Largest displacement. Defaults to 4.

    Returns:
        Tensor: (n, (2 * radius + 1)^2, h, w).
    """
    h, w = ref.shape[-2:]
    padded = F.pad(supp, (radius,) * 4)
    shifts = range(2 * radius + 1)
    return torch.stack(
        [(ref * padded[..., y : y + h, x : x + w]).mean(1) for y in shifts for x in shifts], 1
    )


class ReferenceS2SVRNet(nn.Module):
    """The official network, layer for layer.

    Args:
        mid_channels (int): Channels of the hidden states. Defaults to 64.
        num_blocks (int): Residual blocks of each layer. Defaults to 13.
        num_layers (int): Layers of encoder and decoder. Defaults to 3.
        scale (int): 1, 2 or 4. Defaults to 4.
        flow_input_size (tuple[int, int], optional): Size that frames are resized to for the
            flow; None pads them to multiples of 64. Defaults to (256, 256), the official way.
        padding_mode (str): Padding of the warps in the flow network. Defaults to ``'zeros'``,
            the official way.
    """

    def __init__(
        self,
        mid_channels: int = 64,
        num_blocks: int = 13,
        num_layers: int = 3,
        scale: int = 4,
        flow_input_size: tuple[int, int] | None = (256, 256),
        padding_mode: str = 'zeros',
    ) -> None:
        super().__init__()
        self.flow_input_size = flow_input_size
        self.encoder = _Encoder(mid_channels, num_blocks, num_layers)
        self.decoder = _Decoder(mid_channels, num_blocks, num_layers, scale)
        self.pwclite = _PWCLite(padding_mode)

    def compute_flow(self, lqs: Tensor) -> tuple[Tensor, Tensor]:
        """Compute flows pair by pair; see :meth:`S2SVRNet.compute_flow`.

        Args:
            lqs (Tensor): (n, t, 3, h, w).

        Returns:
            tuple[Tensor, Tensor]: Forward and backward flows, (n, t - 1, 2, h, w).
        """
        n, t, _, h, w = lqs.shape
        if t == 1:
            return lqs.new_zeros(n, 0, 2, h, w), lqs.new_zeros(n, 0, 2, h, w)
        pairs = [(lqs[:, i], lqs[:, i + 1]) for i in range(t - 1)]
        return (
            torch.stack([self._flow(later, earlier) for earlier, later in pairs], 1),
            torch.stack([self._flow(earlier, later) for earlier, later in pairs], 1),
        )

    def _flow(self, ref: Tensor, supp: Tensor) -> Tensor:
        h, w = ref.shape[-2:]
        if self.flow_input_size is None:
            pad = (0, -w % 64, 0, -h % 64)
            ref, supp = (F.pad(x, pad, mode='replicate') for x in (ref, supp))
            return self.pwclite(ref, supp)[..., :h, :w]
        size = self.flow_input_size
        ref, supp = (
            F.interpolate(x, size, mode='bilinear', align_corners=True) for x in (ref, supp)
        )
        flow = F.interpolate(self.pwclite(ref, supp), (h, w), mode='bilinear', align_corners=True)
        return torch.stack((flow[:, 0] * w / size[1], flow[:, 1] * h / size[0]), 1)

    def forward(self, lqs: Tensor) -> Tensor:
        """Restore a clip; see :meth:`S2SVRNet.forward`.

        Args:
            lqs (Tensor): (n, t, 3, h, w), RGB in [0, 1].

        Returns:
            Tensor: (n, t, 3, scale * h, scale * w).
        """
        flows = self.compute_flow(lqs)
        frames = list(lqs.unbind(1))
        encoded, states = self.encoder(frames, *flows)
        return torch.stack(self.decoder(frames, encoded, states, *flows), 1)
