# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""One clip through a network: device, type, padding, flips, scale, and a check of the result."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from inspect import signature
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoints.files import weights_digest
from ..errors import ConfigError, MissingPackageError, NonFiniteError
from ..export.backends import BACKENDS, check_backend
from ..export.conversion import ExportedNetwork, check_exportable, export_network
from ..export.network import OnnxNet
from ..export.quantization import bundled_ranges
from ..models.input_requirements import padded, requirements_of, scale_of
from ..models.s2svr_net import S2SVRNet
from ..ops.chunking import max_pixels
from ..utils.devices import autocast, pick_device
from .cost import NetworkCost, measure_cost
from .offload import NEAR, MainMemory
from .transfers import transfers_to

# Options of a module that are compared by their values.
_PLAIN = (bool, int, float, str, tuple, type(None))
# The greatest value of each type of frame; floating point frames are in [0, 255].
PEAK = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 255}
# What torch computes in, and what other back ends do.
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}
BACKEND_DTYPES = ('float32', 'int8')


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
        self._measured: dict[tuple[str, str], NetworkCost] = {}
        self._exports: dict[str, ExportedNetwork] = {}
        self._loaded: dict[tuple[str, str], nn.Module] = {}

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
        """Hash of all the weights, and of the options of an S2SVR, which weights do not show."""
        modules = self.network.named_modules() if isinstance(self.network, S2SVRNet) else ()
        options = [
            (name, key, value)
            for name, module in modules
            for key, value in sorted(vars(module).items())
            # What a network notes down as it runs is no option.
            if key in signature(type(module)).parameters and isinstance(value, _PLAIN)
        ]
        return hashlib.sha256(f'{weights_digest(self.network)} {options}'.encode()).hexdigest()

    def check_backend(self, backend: str, dtype: str = 'float32') -> None:
        """Check that a back end can run the network.

        Args:
            backend (str): One of ``export.backends.BACKENDS``.
            dtype (str): What it is to compute in; int8 needs a bundled network. Defaults
                to 'float32'.

        Raises:
            ConfigError: It runs on the CPU only, or cannot run this network.
            MissingPackageError: It is not installed.
        """
        if backend == 'torch':
            return
        if self.device.type != 'cpu':
            raise ConfigError(
                f'the back end {backend} computes on the CPU, but the device is {self.device}'
            )
        check_exportable(self.network)
        check_backend(backend)
        if dtype == 'int8':
            bundled_ranges(self.network)

    def usable_backends(self, dtype: str = 'float32') -> list[str]:
        """List the back ends that :meth:`check_backend` accepts, torch first."""
        usable = []
        for backend in BACKENDS:
            with suppress(ConfigError, MissingPackageError):
                self.check_backend(backend, dtype)
                usable.append(backend)
        return usable

    def cost(self, dtype: str, backend: str = 'torch') -> NetworkCost:
        """Memory that the network needs in a type and a back end, measured once."""
        key = dtype, backend
        if key not in self._measured:
            self._measured[key] = self._measure_cost(dtype, backend)
        return self._measured[key]

    def _measure_cost(self, dtype: str, backend: str) -> NetworkCost:
        def run(frames: int, side: int) -> Tensor:
            return self.predict(torch.zeros(1, frames, 3, side, side), dtype, backend)

        if self._main_memory is None:
            side, frames = max(self._needs.side, 64), max(self._needs.frames, 2)
            return measure_cost(run, self.device, side, frames)
        # More frames than stay on the GPU, and so large that each goes through by itself.
        side, frames = math.isqrt(max_pixels(self.device)), 2 * NEAR
        cost = measure_cost(run, self.device, side, frames)
        return replace(cost, host_per_frame=self._main_memory.peak / (frames + 2) / side**2)

    def restore(
        self, clips: Iterable[Sequence[np.ndarray]], dtype: str, backend: str = 'torch'
    ) -> Iterator[np.ndarray]:
        """Restore clips one after the other, with their transfers beside the computing.

        Args:
            clips (Iterable[Sequence[np.ndarray]]): Frames (h, w, 3) of each, RGB: uint8, uint16
                (full range) or float32 in [0, 255].
            dtype (str): One of ``DTYPES``, with another back end of ``BACKEND_DTYPES``.
            backend (str): One of ``export.backends.BACKENDS``. Defaults to 'torch'.

        Yields:
            np.ndarray: (t, s * h, s * w, 3) for each clip, of the same type.

        Raises:
            NonFiniteError: The network returns NaN or infinite values.
        """
        begun: deque[Callable[[], np.ndarray]] = deque()
        for clip in clips:
            begun.append(self._begin(clip, dtype, backend))
            if len(begun) > self._transfers.ahead:
                yield begun.popleft()()
        while begun:
            yield begun.popleft()()

    @torch.inference_mode()
    def _begin(
        self, clip: Sequence[np.ndarray], dtype: str, backend: str
    ) -> Callable[[], np.ndarray]:
        """Begin to restore a clip; what is returned waits for the frames."""
        kind = clip[0].dtype
        restored = self.predict(self.to_tensor(clip), dtype, backend)[0]
        finite = self._transfers.download(torch.isfinite(restored).all()[None])
        frames = restored.float().clamp(0, 1).mul_(PEAK[kind]).permute(0, 2, 3, 1)
        if kind != np.float32:
            # torch has few operations for uint16, so it is rounded before it becomes one.
            frames = frames.round_().to(torch.uint8 if kind == np.uint8 else torch.int32)
        arriving = self._transfers.download(frames)

        def wait() -> np.ndarray:
            if not finite().item():
                raise NonFiniteError(
                    f'{type(self.network).__name__} returns values that are not finite: the '
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
    def predict(self, clip: Tensor, dtype: str, backend: str = 'torch') -> Tensor:
        """Run the network on a clip of any size and length.

        Args:
            clip (Tensor): (1, t, 3, h, w) in [0, 1].
            dtype (str): One of ``DTYPES``, with another back end of ``BACKEND_DTYPES``.
            backend (str): One of ``export.backends.BACKENDS``. Defaults to 'torch'.

        Returns:
            Tensor: (1, t, 3, s * h, s * w), not clamped.
        """
        clip = clip.to(self.device)
        if not self.tta:
            return self._run(clip, dtype, backend)
        total = torch.zeros(())
        for turned, *flips in product((False, True), repeat=3):
            axes = [axis for axis, flip in zip((-2, -1), flips, strict=True) if flip]
            view = clip.transpose(-2, -1) if turned else clip
            restored = self._run(view.flip(axes), dtype, backend).float().flip(axes)
            total = total.to(restored) + (restored.transpose(-2, -1) if turned else restored) / 8
        return total

    def _run(self, clip: Tensor, dtype: str, backend: str) -> Tensor:
        frames, (height, width) = clip.shape[1], clip.shape[-2:]
        clip = padded(clip, self._needs)
        if backend == 'torch':
            with autocast(self.device, DTYPES[dtype]):
                restored = self.network(clip)
        else:
            restored = self._network_of(backend, dtype)(clip)
        if restored.ndim != 5 or clip.shape[1:] == (frames, 3, height, width):
            return restored
        scale = restored.shape[-1] // clip.shape[-1]
        return restored[:, :frames, :, : scale * height, : scale * width]

    def _network_of(self, backend: str, dtype: str) -> nn.Module:
        """Load the exported network into a back end, once."""
        if (backend, dtype) not in self._loaded:
            compute_flow: Any = self.network.compute_flow
            self._loaded[backend, dtype] = OnnxNet(self._exported(dtype), backend, compute_flow)
        return self._loaded[backend, dtype]

    def _exported(self, dtype: str) -> ExportedNetwork:
        """Export the network, once for each type."""
        if dtype not in self._exports:
            ranges = bundled_ranges(self.network) if dtype == 'int8' else None
            # What is made in inference mode can't be traced.
            with torch.inference_mode(False):
                name = type(self.network).__name__
                self._exports[dtype] = export_network(self.network, name, ranges)
        return self._exports[dtype]


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
