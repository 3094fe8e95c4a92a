# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Where restored frames go: a video, a folder of frames, or a comparison with the source."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..io.encoding import EncoderSettings
from ..io.images import encode_png
from ..io.muxing import SourceStreams, TimeRange, write_video
from ..io.reader import Frame
from ..io.rehearsal import plan_output, streams_beside
from ..io.segments import SegmentEncoder
from ..utils.files import commit, write_bytes, write_text


class Sink(Protocol):
    """Takes restored frames, segment by segment, and makes the output of them."""

    def has_segment(self, number: int) -> bool:
        """Whether a segment is whole."""

    def start(self, number: int) -> None:
        """Begin a segment."""

    def write(self, picture: Frame, restored: np.ndarray) -> None:
        """Take one frame of the segment: the picture it was restored from, and the result."""

    def finish(self) -> None:
        """End the segment; it is whole from now on."""

    def abandon(self) -> None:
        """Leave the segment; nothing of it is kept."""

    def assemble(self, output: Path, segments: int, end: int, cut: TimeRange) -> list[str]:
        """Make the output of all segments; it appears whole. Returns what could not be kept."""


class VideoSink:
    """Restored frames as a video.

    Args:
        folder (Path): Where segments are kept.
        output (Path): The video to be.
        settings (EncoderSettings): How to encode.
        source (SourceStreams, optional): Sound and subtitles that go along.
        compose (Callable, optional): Makes the frame to write from the source's and the restored
            one; None for the restored one alone.

    Raises:
        EncodingError: The encoder or the container refuses this; found out before any work.
    """

    def __init__(
        self,
        folder: Path,
        output: Path,
        settings: EncoderSettings,
        source: SourceStreams | None = None,
        compose: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.settings = settings
        self.compose = compose
        self._whole = folder / f'whole{output.suffix}'
        self._encoder: SegmentEncoder | None = None
        self._plan = plan_output(output.suffix, settings, source)

    def _segment(self, number: int) -> Path:
        return self.folder / f'{number:06d}.packets'

    def has_segment(self, number: int) -> bool:
        """See :class:`Sink`."""
        return self._segment(number).is_file()

    def start(self, number: int) -> None:
        """See :class:`Sink`."""
        self._encoder = SegmentEncoder(self._segment(number), self.settings)

    def write(self, picture: Frame, restored: np.ndarray) -> None:
        """See :class:`Sink`."""
        rgb = restored if self.compose is None else self.compose(picture.rgb, restored)
        self._encoder.write(rgb, picture.time)

    def finish(self) -> None:
        """See :class:`Sink`."""
        self._encoder.finish()
        self._encoder = None

    def abandon(self) -> None:
        """See :class:`Sink`."""
        if self._encoder is not None:
            self._encoder.abandon()
            self._encoder = None

    def assemble(self, output: Path, segments: int, end: int, cut: TimeRange) -> list[str]:
        """See :class:`Sink`."""
        paths = [self._segment(i) for i in range(segments)]
        notes = write_video(self._whole, self._plan, paths, end, cut)
        commit(self._whole, output)
        return notes


class FolderSink:
    """Restored frames as PNG files of 8 or 16 bits.

    Args:
        folder (Path): Where they are kept until all are there.
        source (SourceStreams, optional): Sound and subtitles, which no folder holds.
    """

    def __init__(self, folder: Path, source: SourceStreams | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self._left_out = streams_beside(source) if source else []
        self.folder = folder
        self.frames = folder / 'frames'
        self.frames.mkdir(exist_ok=True)
        for half_written in self.frames.glob('*.part'):
            half_written.unlink()
        self._marker = folder
        self._names: list[str] = []

    def _marker_of(self, number: int) -> Path:
        return self.folder / f'{number:06d}.whole'

    def has_segment(self, number: int) -> bool:
        """See :class:`Sink`."""
        marker = self._marker_of(number)
        if not marker.is_file():
            return False
        return all((self.frames / name).is_file() for name in marker.read_text().splitlines())

    def start(self, number: int) -> None:
        """See :class:`Sink`."""
        self._marker, self._names = self._marker_of(number), []

    def write(self, picture: Frame, restored: np.ndarray) -> None:
        """See :class:`Sink`."""
        self._names.append(f'{picture.name}.png')
        write_bytes(self.frames / self._names[-1], encode_png(restored))

    def finish(self) -> None:
        """See :class:`Sink`."""
        write_text(self._marker, '\n'.join(self._names))

    def abandon(self) -> None:
        """See :class:`Sink`; frames that are there are simply written again."""

    def assemble(self, output: Path, segments: int, end: int, cut: TimeRange) -> list[str]:
        """See :class:`Sink`."""
        if output.is_dir():
            # A folder can't be replaced at once: the old one stands aside until the new is there.
            old = self.folder / 'replaced'
            os.replace(output, old)
            os.replace(self.frames, output)
            shutil.rmtree(old)
        else:
            os.replace(self.frames, output)
        return self._left_out


def side_by_side(source: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """The source (enlarged if need be) to the left of the restored frame."""
    return np.concatenate([_enlarged(source, restored), restored], axis=1)


def split_screen(source: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """The left half of the source beside the right half of the restored frame."""
    middle = restored.shape[1] // 2
    composed = restored.copy()
    composed[:, :middle] = _enlarged(source, restored)[:, :middle]
    composed[:, middle : middle + 1] = np.iinfo(restored.dtype).max
    return composed


def _enlarged(source: np.ndarray, restored: np.ndarray) -> np.ndarray:
    if source.shape == restored.shape:
        return source
    return cv2.resize(source, restored.shape[1::-1], interpolation=cv2.INTER_CUBIC)


COMPARISONS = {'side': side_by_side, 'split': split_screen}
