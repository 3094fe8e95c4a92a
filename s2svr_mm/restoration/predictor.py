# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""One clip through a network: device, type, padding, flips, scale, and a check of the result."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoints.files import weights_digest
from ..errors import ConfigError, NonFiniteError
from ..models.input_requirements import padded, requirements_of, scale_of
from ..models.s2svr_net import S2SVRNet
from ..ops.chunking import max_pixels
from ..utils.devices import autocast, pick_device
from .cost import NetworkCost, measure_cost
from .offload import NEAR, MainMemory
from .transfers import transfers_to

# The greatest value of each type of frame; floating point frames are in [0, 255].
PEAK = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 255}
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


class Predictor:
    """A network on its device, for clips that fit into memory.

    Args:
        model (nn.Module): A model of mmagic with a ``generator``, or a network alone: frames in
            [0, 1], (n, t, 3, h, w), to (n, t, 3, s * h, s * w). It is moved to ``device`` and set
            to evaluation.
        device (str | torch.device): 'auto' takes a GPU if there is one. Defaults to 'auto'.
        tta (bool): Whether to average over the 8 flips and rotations of the frames. Defaults to
            False.
        offload (bool): Whether the hidden states of an S2SVR on a GPU lie in main memory.
            Defaults to False.

    Attributes:
        network (nn.Module): The network.
        device (torch.device): Where it runs.
        tta (bool): As above.

    Raises:
        ConfigError: The model does not take [0, 1], or can't be offloaded.
    """

    def __init__(
        self,
        model: nn.Module,
        device: str | torch.device = 'auto',
        tta: bool = False,
        offload: bool = False,
    ) -> None:
        self.device = pick_device(device)
        _check_normalisation(getattr(model, 'data_preprocessor', None))
        average: nn.Module | None = getattr(model, 'generator_ema', None)
        network: nn.Module = getattr(model, 'generator', model) if average is None else average
        self.network = network.to(self.device).eval()
        self.tta = tta
        self._needs = requirements_of(self.network)
        self._transfers = transfers_to(self.device)
        self._main_memory = self._offload() if offload else None
        self._measured: dict[str, NetworkCost] = {}

    def _offload(self) -> MainMemory:
        if self.device.type != 'cuda' or not isinstance(self.network, S2SVRNet):
            raise ConfigError(
                'offload is for an S2SVRNet on a GPU, but this is '
                f'{type(self.network).__name__} on {self.device}'
            )
        main_memory = MainMemory(self.device)
        self.network.keep_states_in(main_memory)
        return main_memory

    @cached_property
    def scale(self) -> int:
        """Size of the output over that of the input."""
        return scale_of(self.network)

    def fingerprint(self) -> str:
        """Hash of all the weights."""
        return weights_digest(self.network)

    def cost(self, dtype: str) -> NetworkCost:
        """Memory that the network needs in a type, measured once."""
        if dtype not in self._measured:
            self._measured[dtype] = self._measure_cost(dtype)
        return self._measured[dtype]

    def _measure_cost(self, dtype: str) -> NetworkCost:
        def run(frames: int, side: int) -> Tensor:
            return self.predict(torch.zeros(1, frames, 3, side, side), dtype)

        if self._main_memory is None:
            side, frames = max(self._needs.side, 64), max(self._needs.frames, 2)
            return measure_cost(run, self.device, side, frames)
        # More frames than stay on the GPU, and so large that each goes through by itself.
        side, frames = math.isqrt(max_pixels(self.device)), 2 * NEAR
        cost = measure_cost(run, self.device, side, frames)
        return replace(cost, host_per_frame=self._main_memory.peak / (frames + 2) / side**2)

    def restore(self, clips: Iterable[Sequence[np.ndarray]], dtype: str) -> Iterator[np.ndarray]:
        """Restore clips one after the other, with their transfers beside the computing.

        Args:
            clips (Iterable[Sequence[np.ndarray]]): Frames (h, w, 3) of each, RGB: uint8, uint16
                (full range) or float32 in [0, 255].
            dtype (str): 'float32' or 'bfloat16'.

        Yields:
            np.ndarray: (t, s * h, s * w, 3) for each clip, of the same type.

        Raises:
            NonFiniteError: The network gives NaN or infinite values.
        """
        begun: deque[Callable[[], np.ndarray]] = deque()
        for clip in clips:
            begun.append(self._begin(clip, dtype))
            if len(begun) > self._transfers.ahead:
                yield begun.popleft()()
        while begun:
            yield begun.popleft()()

    @torch.inference_mode()
    def _begin(self, clip: Sequence[np.ndarray], dtype: str) -> Callable[[], np.ndarray]:
        """Begin to restore a clip; what is returned waits for the frames."""
        kind = clip[0].dtype
        restored = self.predict(self.to_tensor(clip), dtype)[0]
        finite = self._transfers.download(torch.isfinite(restored).all()[None])
        frames = restored.float().clamp(0, 1).mul_(PEAK[kind]).permute(0, 2, 3, 1)
        if kind != np.float32:
            # torch has few operations for uint16, so it is rounded before it becomes one.
            frames = frames.round_().to(torch.uint8 if kind == np.uint8 else torch.int32)
        arriving = self._transfers.download(frames)

        def wait() -> np.ndarray:
            if not finite().item():
                raise NonFiniteError(
                    f'{type(self.network).__name__} gives values that are not finite: the '
                    'checkpoint is broken, or its numbers are too large for bfloat16 (--dtype '
                    'float32)'
                )
            return arriving().astype(kind, copy=False)

        return wait

    def to_tensor(self, clip: Sequence[np.ndarray]) -> Tensor:
        """Frames (h, w, 3) of any type to (1, t, 3, h, w), float32 in [0, 1], on the device."""
        peak = PEAK[clip[0].dtype]
        if clip[0].dtype == np.uint16:
            clip = [frame.astype(np.float32) for frame in clip]
        return self._transfers.upload(clip).permute(0, 3, 1, 2)[None].float() / peak

    @torch.inference_mode()
    def predict(self, clip: Tensor, dtype: str) -> Tensor:
        """Run the network on a clip of any size and length.

        Args:
            clip (Tensor): (1, t, 3, h, w) in [0, 1].
            dtype (str): 'float32' or 'bfloat16'.

        Returns:
            Tensor: (1, t, 3, s * h, s * w), not clamped.
        """
        clip = clip.to(self.device)
        if not self.tta:
            return self._run(clip, DTYPES[dtype])
        total = torch.zeros(())
        for turned, *flips in product((False, True), repeat=3):
            axes = [axis for axis, flip in zip((-2, -1), flips, strict=True) if flip]
            view = clip.transpose(-2, -1) if turned else clip
            restored = self._run(view.flip(axes), DTYPES[dtype]).float().flip(axes)
            total = total.to(restored) + (restored.transpose(-2, -1) if turned else restored) / 8
        return total

    def _run(self, clip: Tensor, dtype: torch.dtype) -> Tensor:
        frames, (height, width) = clip.shape[1], clip.shape[-2:]
        clip = padded(clip, self._needs)
        with autocast(self.device, dtype):
            restored = self.network(clip)
        if restored.ndim != 5 or clip.shape[1:] == (frames, 3, height, width):
            return restored
        scale = restored.shape[-1] // clip.shape[-1]
        return restored[:, :frames, :, : scale * height, : scale * width]


def _check_normalisation(preprocessor: Any) -> None:
    """All of mmagic's recurrent networks take [0, 1]; another scale would go unnoticed."""
    if getattr(preprocessor, 'mean', None) is None:
        return
    mean, std = preprocessor.mean, preprocessor.std
    if mean.abs().max() > 0 or (std - 255).abs().max() > 0:
        raise ConfigError(
            'the data_preprocessor must bring frames to [0, 1] (mean 0, std 255), but it has mean '
            f'{mean.flatten().tolist()} and std {std.flatten().tolist()}'
        )
