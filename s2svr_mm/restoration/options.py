# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How the output of a restored video is written."""

from dataclasses import dataclass

from ..errors import ConfigError
from .defaults import SEGMENT_FRAMES
from .sinks import COMPARISONS


@dataclass(frozen=True)
class OutputOptions:
    """How the output is written; None is replaced by what suits the source and the file's name.

    Attributes:
        codec (str, optional): Name of a video encoder, such as 'libx265'.
        crf (float, optional): Quality, lower is better.
        preset (str, optional): The encoder's preset.
        pix_fmt (str, optional): Pixel format, such as 'yuv420p10le'.
        without (tuple[str, ...]): Kinds of streams to leave out: 'audio', 'subtitle'.
        compare (str, optional): A second video that shows input and output.
        compare_mode (str): 'side' or 'split'.
        overwrite (bool): Whether older outputs may be replaced.
        segment (int): Frames after which what is done is kept for good, about.

    Raises:
        ConfigError: ``segment`` or ``compare_mode`` is not valid.
    """

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    without: tuple[str, ...] = ()
    compare: str | None = None
    compare_mode: str = 'side'
    overwrite: bool = False
    segment: int = SEGMENT_FRAMES

    def __post_init__(self) -> None:
        if self.segment < 1:
            raise ConfigError(f'--segment must be at least 1 frame, but got {self.segment}')
        if self.compare_mode not in COMPARISONS:
            raise ConfigError(
                f'the comparison is one of {", ".join(COMPARISONS)}, but got {self.compare_mode!r}'
            )
