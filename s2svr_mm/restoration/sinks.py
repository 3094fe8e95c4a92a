# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Where restored frames go: a video, a folder of frames, or a comparison with the source."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..errors import OutputError
from ..io.encoding import EncoderSettings
from ..io.images import encode_png
from ..io.muxing import write_video
from ..io.output_plan import SourceStreams, TimeRange
from ..io.reader import Frame
from ..io.rehearsal import plan_output, streams_beside
from ..io.segments import SegmentEncoder
from ..utils.files import commit, write_bytes, write_text
from ..utils.manifest import check_made, sha256


class Sink(Protocol):
    """Take restored frames, segment by segment, and make the output of them."""

    def has_segment(self, number: int) -> bool:
        """Whether a segment is whole."""

    def discard(self, number: int) -> None:
        """Throw a whole segment away."""

    def start(self, number: int) -> None:
        """Begin a segment."""

    def write(self, picture: Frame, restored: np.ndarray) -> None:
        """Take one frame of the segment: the picture it was restored from, and the result."""

    def finish(self) -> None:
        """End the segment; it is whole from now on."""

    def abandon(self) -> None:
        """Leave the segment; nothing of it is kept."""

    def assemble(self, segments: int, end: int, cut: TimeRange) -> list[str]:
        """Make the output of all segments.

        Args:
            segments (int): How many there are.
            end (int): When the last frame ends, ticks from the source's first frame.
            cut (TimeRange): Which part of the source that is.

        Returns:
            list[str]: What could not be kept.
        """


class VideoSink:
    """Restored frames as a video, which appears whole.

    Args:
        folder (Path): Where segments are kept.
        output (Path): The video to be.
        settings (EncoderSettings): How to encode.
        source (SourceStreams, optional): Sound and subtitles to copy.
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
        self.output = output
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

    def discard(self, number: int) -> None:
        """See :class:`Sink`."""
        self._segment(number).unlink(missing_ok=True)

    def start(self, number: int) -> None:
        """See :class:`Sink`."""
        self._encoder = SegmentEncoder(self._segment(number), self.settings)

    def write(self, picture: Frame, restored: np.ndarray) -> None:
        """See :class:`Sink`."""
        assert self._encoder is not None
        rgb = restored if self.compose is None else self.compose(picture.rgb, restored)
        self._encoder.write(rgb, picture.time)

    def finish(self) -> None:
        """See :class:`Sink`."""
        assert self._encoder is not None
        self._encoder.finish()
        self._encoder = None

    def abandon(self) -> None:
        """See :class:`Sink`."""
        if self._encoder is not None:
            self._encoder.abandon()
            self._encoder = None

    def assemble(self, segments: int, end: int, cut: TimeRange) -> list[str]:
        """See :class:`Sink`."""
        paths = [self._segment(i) for i in range(segments)]
        notes = write_video(self._whole, self._plan, paths, end, cut)
        commit(self._whole, self.output)
        return notes


class FolderSink:
    """Restored frames as PNG files of 8 or 16 bits.

    A new folder appears whole. One that is there already is written into when all frames are
    done, and keeps whatever else it holds.

    Args:
        folder (Path): Where frames are kept until all are there.
        output (Path): The folder to be.
        overwrite (bool): Whether frames of an earlier call may be replaced. Defaults to False.
        source (SourceStreams, optional): Sound and subtitles, which no folder holds.
    """

    def __init__(
        self,
        folder: Path,
        output: Path,
        overwrite: bool = False,
        source: SourceStreams | None = None,
    ) -> None:
        self._left_out = streams_beside(source) if source else []
        self.folder = folder
        self.output = output
        self.overwrite = overwrite
        self.frames = folder / 'frames'
        self.frames.mkdir(parents=True, exist_ok=True)
        self._number = 0
        self._digests: dict[str, str] = {}

    def _marker(self, number: int) -> Path:
        return self.folder / f'{number:06d}.whole'

    def _written(self, number: int) -> dict[str, str]:
        """Frames of a whole segment, SHA-256 by name."""
        return json.loads(self._marker(number).read_text(encoding='utf-8'))

    def has_segment(self, number: int) -> bool:
        """See :class:`Sink`."""
        if not self._marker(number).is_file():
            return False
        return all(
            (self.frames / name).is_file() or self._is_moved(name, digest)
            for name, digest in self._written(number).items()
        )

    def _is_moved(self, name: str, digest: str) -> bool:
        """Whether a call that was stopped at its very end has put a frame in its place."""
        path = self.output / name
        return path.is_file() and sha256(path.read_bytes()) == digest

    def discard(self, number: int) -> None:
        """See :class:`Sink`; frames that are there are simply written again."""
        self._marker(number).unlink(missing_ok=True)

    def start(self, number: int) -> None:
        """See :class:`Sink`."""
        self._number, self._digests = number, {}

    def write(self, picture: Frame, restored: np.ndarray) -> None:
        """See :class:`Sink`."""
        name, content = f'{picture.name}.png', encode_png(restored)
        self._digests[name] = sha256(content)
        write_bytes(self.frames / name, content)

    def finish(self) -> None:
        """See :class:`Sink`."""
        write_text(self._marker(self._number), json.dumps(self._digests))

    def abandon(self) -> None:
        """See :class:`Sink`; frames that are there are simply written again."""

    def assemble(self, segments: int, end: int, cut: TimeRange) -> list[str]:
        """See :class:`Sink`."""
        digests = {k: v for i in range(segments) for k, v in self._written(i).items()}
        if not self.output.exists():
            for path in self.frames.iterdir():
                # Half-written by a process that was killed, or of a segment that was restored
                # anew, and shorter.
                if path.name not in digests:
                    path.unlink()
            self.frames.replace(self.output)
            return self._left_out
        waiting = [name for name in digests if (self.frames / name).is_file()]
        check_frames(self.output, waiting, self.overwrite)
        for name in waiting:
            (self.frames / name).replace(self.output / name)
        return self._left_out


def check_frames(folder: Path, names: Sequence[str], overwrite: bool) -> None:
    """Refuse to write frames into a folder where they would replace others.

    Args:
        folder (Path): The folder, which may be missing.
        names (Sequence[str]): Names of the files.
        overwrite (bool): Whether those that this package made may be replaced.

    Raises:
        OutputError: With the first one.
    """
    taken = next((name for name in names if (folder / name).exists()), None)
    if taken is not None and not overwrite:
        raise OutputError(
            f'{folder / taken} exists already: choose another name, or --overwrite frames that '
            'were restored before'
        )
    check_made(folder, names)


def side_by_side(source: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """Return the source (enlarged if need be) to the left of the restored frame."""
    return np.concatenate([_enlarged(source, restored), restored], axis=1)


def split_screen(source: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """Return the left half of the source beside the right half of the restored frame."""
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
