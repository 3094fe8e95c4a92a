# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What the page offers to do, and what can be set of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..checkpoints.shipped import BundledModel, bundled_model
from ..errors import ConfigError
from ..io.containers import container_of
from ..models.zoo import list_models
from ..restoration.options import OutputOptions
from ..restoration.planning import Settings
from ..restoration.restore_video import SIZE_CHANGES

# A task of a bundled network, as a button says it and in one line; what most people need first.
_TASKS = {
    'super-resolution of video': (
        'Enlarge x{scale}',
        'For videos as people have them: compressed, slightly soft or noisy.',
    ),
    'super-resolution': ('Enlarge x{scale}', 'For small, clean frames: more pixels, more detail.'),
    'compression artefacts': (
        'Clean up compression',
        'For blocks and ringing left by strong compression, without enlarging.',
    ),
    'deblurring': ('Deblur', 'For strong motion blur, without enlarging.'),
}


def list_tasks() -> list[dict[str, Any]]:
    """List the tasks of the bundled networks.

    Returns:
        list[dict]: Of each task its ``label``, a line ``about`` it and the
        ``models`` that do it, each with its ``name`` and what it is for. The first network of the
        first task is the one that ``s2svr restore`` takes by default.
    """
    order = list(_TASKS)

    def sort_key(model: BundledModel) -> tuple[int, int]:
        return order.index(model.task) if model.task in order else len(order), model.scale

    tasks: dict[str, dict[str, Any]] = {}
    for model in sorted(map(bundled_model, list_models()), key=sort_key):
        label, about = _TASKS.get(model.task, (model.task.capitalize(), model.about))
        label = label.format(scale=model.scale)
        # Networks of one button, such as two that enlarge four times, are one task.
        task = tasks.setdefault(label, {'label': label, 'about': about, 'models': []})
        task['models'].append({'name': model.name, 'about': model.about})
    return list(tasks.values())


@dataclass(frozen=True)
class RestoreSettings:
    """What the page sets of a restoration; arguments of ``s2svr restore`` by the same names.

    Attributes:
        model (str): Name of a bundled network.
        device (str): 'auto', 'cpu', 'cuda' ...
        dtype (str): 'auto', 'float32', 'bfloat16' or 'int8'.
        backend (str): 'torch', 'openvino', 'onnxruntime' or 'auto'.
        window (int, optional): Frames that the network sees at once.
        tile (int, optional): Side of tiles in pixels; 0 for whole frames.
        memory (int, optional): Megabytes that may be used.
        scene_cuts (bool): Whether each scene is restored by itself.
        tta (bool): Whether to average over flips and turns.
        first (int): First frame.
        end (int, optional): The frame after the last one.
        size_change (str): 'stop' or 'scale', where frames change their size.
        strict (bool): Whether damaged frames are refused.
        size (str, optional): Size of the result, such as '1080p', '1920x1080' or '2x'.
        suffix (str): Ending of the result's name.
        codec (str, optional): Name of a video encoder.
        crf (float, optional): Quality, lower is better.
        preset (str, optional): The encoder's preset.
    """

    model: str
    device: str = 'auto'
    dtype: str = 'auto'
    backend: str = 'torch'
    window: int | None = None
    tile: int | None = None
    memory: int | None = None
    scene_cuts: bool = True
    tta: bool = False
    first: int = 0
    end: int | None = None
    size_change: str = 'stop'
    strict: bool = False
    size: str | None = None
    suffix: str = '.mp4'
    codec: str | None = None
    crf: int | float | None = None
    preset: str | None = None

    @classmethod
    def from_json(cls, data: Any) -> 'RestoreSettings':
        """Check what a page sent.

        Raises:
            ConfigError: It names something unknown, or a value is not possible.
        """
        kinds: dict[str, Any] = {field.name: field.type for field in fields(cls)}
        if not isinstance(data, Mapping) or not isinstance(data.get('model'), str):
            raise ConfigError(f'settings name a model and what is set of it, got {data!r}')
        for name, value in data.items():
            if name not in kinds:
                raise ConfigError(f'there is no setting {name!r}, but {", ".join(kinds)}')
            # To Python, True is a whole number.
            fits = isinstance(value, kinds[name])
            if not fits or isinstance(value, bool) != (kinds[name] is bool):
                raise ConfigError(f'{name} cannot be {value!r}')
        settings = cls(**data)
        settings._check()
        return settings

    def _check(self) -> None:
        bundled_model(self.model)
        container_of(self.suffix)
        self.output_options()
        Settings(self.dtype, self.window, None, self.tile, backend=self.backend, size=self.size)
        if self.memory is not None and self.memory < 1:
            raise ConfigError(f'memory must be at least 1 MB, but got {self.memory}')
        if self.first < 0 or (self.end is not None and self.end <= self.first):
            raise ConfigError(
                f'frames {self.first}:{self.end}: the end must be after the first frame'
            )
        if self.size_change not in SIZE_CHANGES or self.size_change == 'split':
            raise ConfigError(f"size_change is 'stop' or 'scale', got {self.size_change!r}")

    def to_json(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_json` reads."""
        return asdict(self)

    @property
    def frames(self) -> tuple[int, int | None]:
        """First frame, and the one after the last; None for the end."""
        return self.first, self.end

    def restorer_arguments(self) -> dict[str, Any]:
        """Return arguments of a VideoRestorer, beside its network."""
        names = ('device', 'dtype', 'backend', 'window', 'tile', 'scene_cuts', 'tta', 'size')
        limit = None if self.memory is None else self.memory * 2**20
        return {**{name: getattr(self, name) for name in names}, 'memory_limit': limit}

    def output_options(self) -> OutputOptions:
        """Return how the result is written."""
        return OutputOptions(codec=self.codec, crf=self.crf, preset=self.preset)

    def command(self, src: str, dst: str) -> list[str]:
        """Return the command that does the same.

        Args:
            src (str): Name of the input.
            dst (str): Name of the result.
        """
        words = ['s2svr', 'restore', src, dst, '--model', self.model]
        if self.size is not None:
            scale = self.size.removesuffix('x')
            words += ['--size', self.size] if scale == self.size else ['--scale', scale]
        names = ('device', 'dtype', 'backend', 'window', 'tile', 'size_change', 'codec', 'crf')
        for name in (*names, 'preset'):
            value = getattr(self, name)
            if value != getattr(type(self), name):
                words += [f'--{name.replace("_", "-")}', str(value)]
        if self.memory is not None:
            words += ['--memory', f'{self.memory}M']
        if self.frames != (0, None):
            words += ['--frames', f'{self.first}:{"" if self.end is None else self.end}']
        if not self.scene_cuts:
            words.append('--no-scene-cuts')
        return [*words, *(f'--{name}' for name in ('tta', 'strict') if getattr(self, name))]
