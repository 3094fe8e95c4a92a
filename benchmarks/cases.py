# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The networks that the benchmark runs, and the clips they see."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from mmagic.models.editors import BasicVSRNet, BasicVSRPlusPlusNet, IconVSRNet
from torch import Tensor, nn

from benchmarks.reference_s2svr import ReferenceS2SVRNet
from s2svr_mm.errors import ConfigError, DataError
from s2svr_mm.io.clips import open_reader
from s2svr_mm.io.images import to_levels
from s2svr_mm.models import PWCLite, S2SVRNet, S2SVRPlusNet
from s2svr_mm.models.conv_gru import ResConvGRU
from s2svr_mm.models.conversion import to_official
from s2svr_mm.utils.devices import autocast

# As mmagic builds them by default, with no weights to fetch.
BASELINES: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    'basicvsr': ('BasicVSR (64/30)', BasicVSRNet),
    'iconvsr': ('IconVSR (64/30)', IconVSRNet),
    'basicvsr_pp': ('BasicVSR++ (64/7)', BasicVSRPlusPlusNet),
}
_LEAST_SIZE = 64
_LEAST_FRAMES_OF_ICONVSR = 5


@dataclass
class Case:
    """A network and how it is run.

    Attributes:
        key (str): 's2svr', 'reference' or a key of ``BASELINES``.
        name (str): What the table calls it.
        net (nn.Module): Takes clips (n, t, 3, h, w).
        dtype (torch.dtype): float32, or the type of autocast. Default: float32.
        training (bool): Forward and backward pass instead of inference. Default: False.
        whole (Case, optional): The case of which this one is a part: the flow network. Default:
            None.
        eager (Case, optional): The case that this one is compiled from; the counter of
            multiply-adds does not see what is compiled. Default: None.
    """

    key: str
    name: str
    net: nn.Module
    dtype: torch.dtype = torch.float32
    training: bool = False
    whole: 'Case | None' = None
    eager: 'Case | None' = None

    def run(self, clip: Tensor) -> Tensor | None:
        """Run once.

        Args:
            clip (Tensor): (n, t, 3, h, w).

        Returns:
            Tensor | None: The output, or None from training.
        """
        if not self.training:
            with torch.inference_mode(), autocast(clip.device, self.dtype):
                return self.net(clip)
        with autocast(clip.device, self.dtype):
            loss = self.net(clip).float().square().mean()
        loss.backward()
        self.net.zero_grad(set_to_none=True)
        return None


class FlowAlone(nn.Module):
    """The flow network of S2SVR, both directions.

    Args:
        net (S2SVRNet): The whole network.
    """

    def __init__(self, net: S2SVRNet) -> None:
        super().__init__()
        self.estimator = net.flow_estimator
        self._compute = net.compute_flow

    def forward(self, lqs: Tensor) -> tuple[Tensor, Tensor]:
        """Compute flows; see :meth:`S2SVRNet.compute_flow`."""
        return self._compute(lqs)


def random_s2svr() -> S2SVRNet:
    """S2SVR of the published size with random weights.

    The last convolution, which an untrained network scales down to nearly nothing, has its full
    weight: or a comparison of outputs would see the enlarged input and little else.
    """
    net = S2SVRNet()
    net.decoder.output.convs[-1].weight.data.mul_(100)
    return net


def reference_of(net: S2SVRNet) -> ReferenceS2SVRNet:
    """Return the reference implementation of a network, with its weights.

    Args:
        net (S2SVRNet): With PWC-Lite as ARFlow has it, and attention over three frames.

    Returns:
        ReferenceS2SVRNet: The same network, one pair of frames and one frame at a time.

    Raises:
        ConfigError: There is none of such a network.
    """
    flow = net.flow_estimator
    if (
        isinstance(net, S2SVRPlusNet)
        or not isinstance(flow, PWCLite)
        or flow.radius != 4
        or flow.normalize_features
        or net.decoder.attention_radius != 1
    ):
        raise ConfigError(
            'the reference implementation is the network of the paper: S2SVRNet with '
            'attention_radius=1 and a PWCLite of radius 4 that does not normalize its features. '
            'Leave it out with --models'
        )
    reference = ReferenceS2SVRNet(
        mid_channels=net.encoder.forward_layer.gru.candidate.out_channels,
        num_blocks=len(net.encoder.forward_layer.blocks),
        num_layers=len(net.decoder.grus),
        scale=net.scale,
        flow_input_size=net.flow_input_size,
        padding_mode=flow.padding_mode,
    )
    reference.load_state_dict(to_official(net.state_dict()))
    return reference


def checkpointed(net: S2SVRNet) -> S2SVRNet:
    """Return a copy of a network that computes each step again in the backward pass."""
    net = copy.deepcopy(net)
    net.with_cp = True
    return net


def compiled(net: S2SVRNet) -> S2SVRNet:
    """Return a copy of a network whose repeated parts go through ``torch.compile``.

    They are the GRUs, the residual blocks, the attention and the heads. Compiled as a whole, the
    unrolled recurrence would take many minutes, anew for each number of frames.
    """
    net = copy.deepcopy(net)
    for module in net.encoder.modules():
        if isinstance(module, ResConvGRU):
            setattr(module.gru, 'step', torch.compile(module.gru.step))  # noqa: B010
            module.blocks.compile()
    decoder = net.decoder
    for part in (*decoder.grus, *decoder.blocks, decoder.attention, decoder.output):
        if part is not None:
            part.compile()
    decoder.feedback.compile()
    return net


def make_cases(
    net: S2SVRNet,
    models: Sequence[str],
    dtypes: Sequence[torch.dtype],
    device: torch.device,
    training: bool = False,
    flow: bool = False,
    compile_too: bool = False,
) -> list[Case]:
    """List the cases to compare.

    Args:
        net (S2SVRNet): S2SVR.
        models (Sequence[str]): 's2svr', 'reference' and keys of ``BASELINES``.
        dtypes (Sequence[torch.dtype]): Types to run S2SVR in; everything else runs in float32,
            its default way.
        device (torch.device): Where they run.
        training (bool): Forward and backward pass, of S2SVR with and without gradient
            checkpointing. Default: False.
        flow (bool): Whether to run the flow network alone too. Default: False.
        compile_too (bool): Whether to run S2SVR compiled too. Default: False.

    Returns:
        list[Case]: The cases, networks on ``device``.

    Raises:
        ConfigError: ``net`` is no S2SVR, or has no reference implementation and that is wanted.
    """
    if not isinstance(net, S2SVRNet):
        raise ConfigError(
            f'the benchmark is for S2SVRNet, got the config of a {type(net).__name__}'
        )
    cases = []
    if 's2svr' in models:
        for dtype in dtypes:
            cases.append(whole := Case('s2svr', 'S2SVR', net, dtype, training))
            if training:
                cases.append(Case('s2svr', 'S2SVR, with_cp', checkpointed(net), dtype, training))
            if compile_too:
                fast = Case('s2svr', 'S2SVR, compiled', compiled(net), dtype, training)
                cases.append(replace(fast, eager=whole))
            if flow and not training:
                cases.append(Case('s2svr', 'its flow network', FlowAlone(net), dtype, whole=whole))
    if 'reference' in models:
        cases.append(Case('reference', 'S2SVR, reference', reference_of(net), training=training))
    for key, (name, build) in BASELINES.items():
        if key in models:
            torch.manual_seed(0)
            cases.append(Case(key, name, build(), training=training))
    for case in cases:
        case.net.to(device).train(training)
    return cases


def check_clip(models: Sequence[str], frames: int, size: tuple[int, int]) -> None:
    """Refuse a clip that mmagic's networks cannot take.

    Args:
        models (Sequence[str]): As :func:`make_cases` takes them.
        frames (int): Frames of the clip.
        size (tuple[int, int]): Height and width.

    Raises:
        ConfigError: The clip is too short or too small.
    """
    if 'iconvsr' in models and frames < _LEAST_FRAMES_OF_ICONVSR:
        raise ConfigError(f'IconVSR needs {_LEAST_FRAMES_OF_ICONVSR} frames or more, got {frames}')
    if set(models) & set(BASELINES) and min(size) < _LEAST_SIZE:
        raise ConfigError(
            f"mmagic's networks need frames of {_LEAST_SIZE}x{_LEAST_SIZE} or more, got "
            f'{size[1]}x{size[0]}'
        )


def moving_clip(frames: int, size: tuple[int, int], batch: int = 1, seed: int = 0) -> Tensor:
    """Crops that move over a smooth random texture, two pixels right and one down a frame.

    Args:
        frames (int): Frames t of each clip.
        size (tuple[int, int]): Height and width.
        batch (int): Clips n. Default: 1.
        seed (int): Which texture. Default: 0.

    Returns:
        Tensor: (n, t, 3, h, w) in [0, 1].
    """
    height, width = size[0] + frames, size[1] + 2 * frames
    generator = torch.Generator().manual_seed(seed)
    texture = torch.zeros(batch, 3, height, width)
    for step in (2, 4, 8, 16, 32):
        coarse = torch.randn(batch, 3, height // step + 2, width // step + 2, generator=generator)
        texture += step**0.5 * F.interpolate(coarse, (height, width), mode='bicubic')
    texture = (0.5 + 0.2 * texture / texture.std()).clamp(0, 1)
    crops = [texture[..., i : i + size[0], 2 * i : 2 * i + size[1]] for i in range(frames)]
    return torch.stack(crops, 1)


def read_clip(path: str, frames: int, size: tuple[int, int]) -> Tensor:
    """Return the centre of the first frames of a video or a folder.

    Args:
        path (str): A folder of frames, a video file or a raw YUV file.
        frames (int): How many frames t.
        size (tuple[int, int]): Height and width to cut out.

    Returns:
        Tensor: (1, t, 3, h, w) in [0, 1].

    Raises:
        DataError: There are fewer frames, or they are smaller.
    """
    read = np.stack([to_levels(f.rgb) for f in open_reader(path).iterate(0, frames)])
    _, height, width, _ = read.shape
    if len(read) < frames or height < size[0] or width < size[1]:
        raise DataError(
            f'{path} has {len(read)} frames of {width}x{height}; {frames} of {size[1]}x{size[0]} '
            'are wanted: set --frames and --size'
        )
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    cut = read[:, top : top + size[0], left : left + size[1]].astype(np.float32) / 255
    return torch.from_numpy(cut).permute(0, 3, 1, 2).unsqueeze(0).contiguous()
