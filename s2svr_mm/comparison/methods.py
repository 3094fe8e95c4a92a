# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What is compared: networks, the baseline that they start from, and the ground truth."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..datasets.transforms.degradation import imresize
from ..errors import ConfigError
from ..models.input_requirements import padded, requirements_of
from ..models.zoo import generator_config, load_model
from ..restoration.restorer import VideoRestorer
from ..utils.profiling import count_macs
from ..version import __version__

GROUND_TRUTH = 'ground truth'
_COUNTED_FRAMES = 10


def bicubic(frame: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge a frame by MATLAB's bicubic :func:`.imresize`.

    Args:
        frame (np.ndarray): (h, w, 3), [0, 255].
        scale (int): How many times; 1 leaves it as it is.

    Returns:
        np.ndarray: (scale * h, scale * w, 3), float32 in [0, 255], not rounded.
    """
    if scale == 1:
        return frame.astype(np.float32)
    return imresize(frame, scale).clip(0, 255).astype(np.float32)


class Method(ABC):
    """One row of the comparison.

    Attributes:
        name (str): Its name.
        parameters (int, optional): Number of its parameters; None if it is no network.
        is_reference (bool): Whether others are measured against it, and it against none.
        source (str): What of a clip it is given: 'lq' or 'gt'.
    """

    name: str
    parameters: int | None = None
    is_reference = False
    source = 'lq'

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """All that its result depends on beside the clip, as plain data."""

    @abstractmethod
    def prepare(self, first: Sequence[np.ndarray]) -> tuple[str, list[str]]:
        """Settle how to restore a clip; its time does not count.

        Args:
            first (Sequence[np.ndarray]): Its first frames.

        Returns:
            tuple[str, list[str]]: How, in a few words, and notes on that.
        """

    @abstractmethod
    def restore(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Restore a clip that :meth:`prepare` has seen.

        Args:
            frames (Iterable[np.ndarray]): (h, w, 3), RGB, float32 in [0, 255].

        Yields:
            np.ndarray: (s * h, s * w, 3), float32 in [0, 255], for each frame.
        """

    def macs(self, size: tuple[int, int]) -> int | None:
        """Multiply-adds a frame of (h, w); None if it is no network."""
        return None

    def flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
        """Return the flow that its own flow network estimates between two degraded frames.

        Args:
            first (np.ndarray): (h, w, 3), RGB, [0, 255].
            second (np.ndarray): The next frame.

        Returns:
            np.ndarray | None: (h, w, 2), pixels, x first, from ``first`` to ``second``; None if it
            has no flow network.
        """
        return None


class Baseline(Method):
    """The input itself, enlarged by :func:`bicubic` where the networks enlarge.

    Args:
        scale (int): Size of restored frames over that of the input.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.name = baseline_name(scale)

    def fingerprint(self) -> dict[str, Any]:
        """See :class:`Method`."""
        return {'version': __version__, 'scale': self.scale}

    def prepare(self, first: Sequence[np.ndarray]) -> tuple[str, list[str]]:
        """See :class:`Method`."""
        return 'as it is' if self.scale == 1 else "MATLAB's bicubic", []

    def restore(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """See :class:`Method`."""
        for frame in frames:
            yield bicubic(frame, self.scale)


class NetworkMethod(Method):
    """A network with its weights.

    Args:
        name (str): What the tables call it.
        config (str, optional): A config of this project or of mmagic. Default: None, the bundled
            network of that name.
        checkpoint (str, optional): Its weights. Default: None.
        **settings: Arguments of :class:`VideoRestorer`.

    Raises:
        ConfigError: The config has no generator, or no bundled network has that name.
        CheckpointError: The checkpoint is broken or belongs to another network.
    """

    def __init__(
        self, name: str, config: str | None = None, checkpoint: str | None = None, **settings: Any
    ) -> None:
        self.name = name
        network = load_model(config or name, checkpoint)
        self._generator = str(generator_config(config or name))
        self.restorer = VideoRestorer(network, **settings)
        self.parameters = sum(p.numel() for p in self.restorer.network.parameters())
        self._macs: dict[tuple[int, int], int] = {}

    @property
    def scale(self) -> int:
        """Size of restored frames over that of the input."""
        return self.restorer.scale

    def fingerprint(self) -> dict[str, Any]:
        """See :class:`Method`."""
        return {
            'config': hashlib.sha256(self._generator.encode()).hexdigest(),
            **self.restorer.fingerprint(),
        }

    def prepare(self, first: Sequence[np.ndarray]) -> tuple[str, list[str]]:
        """See :class:`Method`."""
        self._decision = self.restorer.decide(first)
        return f'{self._decision} on {self.restorer.device}', list(self._decision.notes)

    def restore(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """See :class:`Method`."""
        yield from self.restorer.restore(frames, self._decision)

    @torch.inference_mode()
    def macs(self, size: tuple[int, int]) -> int:
        """See :class:`Method`; counted on ten frames."""
        if size not in self._macs:
            network, device = self.restorer.network, self.restorer.device
            clip = padded(torch.zeros(1, _COUNTED_FRAMES, 3, *size), requirements_of(network)).to(
                device
            )
            self._macs[size] = round(count_macs(lambda: network(clip)) / clip.shape[1])
        return self._macs[size]

    @torch.inference_mode()
    def flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
        """See :class:`Method`."""
        network: Any = self.restorer.network
        height, width = first.shape[:2]
        if not hasattr(network, 'compute_flow'):
            return None
        clip = torch.from_numpy(np.stack((first, second)).astype(np.float32) / 255)
        clip = padded(clip.permute(0, 3, 1, 2)[None], requirements_of(network))
        clip = clip.to(self.restorer.device)
        if hasattr(network, 'check_if_mirror_extended'):
            # mmagic's networks compute one direction alone for mirrored clips.
            network.check_if_mirror_extended(clip)
        backward = network.compute_flow(clip)[1]
        flow = backward[0, 0].float().permute(1, 2, 0).cpu().numpy()
        return flow[:height, :width]


class GroundTruth(Method):
    """The ground truth, which has a warping error of its own."""

    name = GROUND_TRUTH
    is_reference = True
    source = 'gt'

    def fingerprint(self) -> dict[str, Any]:
        """See :class:`Method`."""
        return {'version': __version__}

    def prepare(self, first: Sequence[np.ndarray]) -> tuple[str, list[str]]:
        """See :class:`Method`."""
        return 'as it is', []

    def restore(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the frames, which are those of the ground truth."""
        yield from frames


def baseline_name(scale: int) -> str:
    """Return what the baseline is called: 'input' at scale 1, else 'bicubic'."""
    return 'input' if scale == 1 else 'bicubic'


def load_methods(models: Sequence[Sequence[str]], **settings: Any) -> list[NetworkMethod]:
    """Load the networks of a command line.

    Args:
        models (Sequence[Sequence[str]]): Name, config and checkpoint of each, or the name alone of
            a bundled one.
        **settings: Arguments of :class:`VideoRestorer` for all of them.

    Returns:
        list[NetworkMethod]: The networks, all of one scale.

    Raises:
        ConfigError: There are none, a name is not valid, or they differ in scale.
    """
    if not models:
        raise ConfigError('there is nothing to compare: give --model NAME CONFIG CHECKPOINT')
    names = [name for name, *_ in models]
    check_names('--model', names, reserved=(GROUND_TRUTH, *map(baseline_name, (1, 4))))
    methods = [NetworkMethod(*model, **settings) for model in models]
    scales = {method.name: method.scale for method in methods}
    if len(set(scales.values())) > 1:
        listed = ', '.join(f'{name} at {scale}' for name, scale in scales.items())
        raise ConfigError(
            f'the networks restore at different scales ({listed}), so their frames cannot be '
            'compared: give those of one scale, and the others in a call of their own'
        )
    return methods


def check_names(option: str, names: Sequence[str], reserved: Sequence[str] = ()) -> None:
    """Refuse names that are not distinct, or cannot be the name of a folder.

    Raises:
        ConfigError: With the name.
    """
    for name in names:
        if not name.strip() or name.startswith('.'):
            raise ConfigError(f'{option}: a name must not be empty or start with a dot: {name!r}')
        if name in reserved:
            raise ConfigError(f'{option}: the name {name!r} is reserved: choose another one')
        if names.count(name) > 1:
            raise ConfigError(f'{option}: the name {name!r} is given twice')
