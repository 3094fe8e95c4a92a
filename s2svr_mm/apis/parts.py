# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What a run has done so far, kept beside its output so that the next run goes on from there."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from s2svr_mm.engine.checkpoint import AtomicBackend

from .encoding import Cut, EncoderSettings, Muxer, SegmentEncoder
from .sources import Picture


class OutputError(ValueError):
    """An output that can't be written, or must not be."""


def check_output(path: Path, sources: Sequence[str], overwrite: bool) -> None:
    """Refuse, before any work, an output that could not be written in the end.

    Args:
        path (Path): A file or a folder to be.
        sources (Sequence[str]): All files and folders that are read.
        overwrite (bool): Whether an older output may be replaced.

    Raises:
        OutputError: With the reason.
    """
    if path.exists():
        for source in sources:
            if os.path.samefile(path, source):
                raise OutputError(f'{path} is the input: choose another name for the output')
        if not overwrite:
            raise OutputError(f'{path} exists already: choose another name, or --overwrite it')
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f'there is no folder {folder} to write {path.name} to')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f'no permission to write to {folder}')


class Parts:
    """The folder ``<output>.parts``, locked for this process.

    Args:
        output (Path): The output that the parts will become.

    Raises:
        OutputError: Another process is at it.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f'{output.name}.parts')
        self.folder.mkdir(exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise OutputError(f'another process is writing {output} at this moment') from None

    def resume(self, arguments: Mapping[str, Any], overwrite: bool) -> dict[str, Any] | None:
        """Look for what an earlier run with the same arguments has decided.

        Args:
            arguments (Mapping): All that the result depends on, as plain data.
            overwrite (bool): Whether parts of a run with other arguments may be thrown away.

        Returns:
            dict | None: What the earlier run gave to :meth:`begin`; None if there was none.

        Raises:
            OutputError: The parts are those of other arguments.
        """
        path = self.folder / 'manifest.json'
        if not path.is_file():
            self.clear()
            return None
        manifest = json.loads(path.read_text())
        before = manifest['arguments']
        if before == arguments:
            return manifest['decided']
        if overwrite:
            self.clear()
            return None
        changed = sorted(
            key for key in {*before, *arguments} if before.get(key) != arguments.get(key)
        )
        raise OutputError(
            f'{self.folder} holds what an interrupted run with another {", ".join(changed)} has '
            'done: call it again as it was to go on, or --overwrite to start anew'
        )

    def begin(self, arguments: Mapping[str, Any], decided: Mapping[str, Any]) -> None:
        """Write down what this run is about."""
        manifest = {'arguments': dict(arguments), 'decided': dict(decided)}
        AtomicBackend().put_text(json.dumps(manifest, indent=1), self.folder / 'manifest.json')

    @property
    def end(self) -> dict[str, Any] | None:
        """What :meth:`set_end` was given; None while there are frames left to restore."""
        path = self.folder / 'end.json'
        return json.loads(path.read_text()) if path.is_file() else None

    def set_end(self, **facts: Any) -> None:
        """Write down that all frames are restored, with what was learnt at the end."""
        AtomicBackend().put_text(json.dumps(facts), self.folder / 'end.json')

    def clear(self) -> None:
        """Throw away all parts."""
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def close(self) -> None:
        """Unlock; a folder in which nothing was begun goes."""
        if self.folder.is_dir() and not (self.folder / 'manifest.json').is_file():
            shutil.rmtree(self.folder)
        os.close(self._lock)

    def remove(self) -> None:
        """Remove the folder, once its contents have become the output."""
        (self.folder / 'manifest.json').unlink(missing_ok=True)
        shutil.rmtree(self.folder)


class Sink(Protocol):
    """Takes restored frames, segment by segment, and makes the output of them."""

    def has_segment(self, number: int) -> bool:
        """Whether a segment is whole."""

    def start(self, number: int) -> None:
        """Begin a segment."""

    def write(self, picture: Picture, restored: np.ndarray) -> None:
        """Take one frame of the segment: the picture it was restored from, and the result."""

    def finish(self) -> None:
        """End the segment; it is whole from now on."""

    def abandon(self) -> None:
        """Leave the segment; nothing of it is kept."""

    def assemble(self, output: Path, segments: int, last_duration: int, cut: Cut) -> list[str]:
        """Make the output of all segments; it appears whole. Returns what could not be kept."""


class VideoSink:
    """Restored frames as a video.

    Args:
        folder (Path): Where segments are kept.
        output (Path): The video to be.
        settings (EncoderSettings): How to encode.
        source (str, optional): Video whose sound and subtitles go along.
        without (Sequence[str]): Kinds of streams to leave out.
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
        source: str | None = None,
        without: Sequence[str] = (),
        compose: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.settings = settings
        self.source = source
        self.without = without
        self.compose = compose
        self._whole = folder / f'whole{output.suffix}'
        self._encoder: SegmentEncoder | None = None
        self._muxer().close()

    def _muxer(self) -> Muxer:
        return Muxer(self._whole, self.settings, self.source, self.without)

    def _segment(self, number: int) -> Path:
        return self.folder / f'{number:06d}.packets'

    def has_segment(self, number: int) -> bool:
        """See :class:`Sink`."""
        return self._segment(number).is_file()

    def start(self, number: int) -> None:
        """See :class:`Sink`."""
        self._encoder = SegmentEncoder(self._segment(number), self.settings)

    def write(self, picture: Picture, restored: np.ndarray) -> None:
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

    def assemble(self, output: Path, segments: int, last_duration: int, cut: Cut) -> list[str]:
        """See :class:`Sink`."""
        muxer = self._muxer()
        try:
            muxer.write([self._segment(i) for i in range(segments)], last_duration, cut)
        finally:
            muxer.close()
        _to_disk(self._whole)
        os.replace(self._whole, output)
        return muxer.left_out


class FolderSink:
    """Restored frames as PNG files of 8 or 16 bits.

    Args:
        folder (Path): Where they are kept until all are there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.frames = folder / 'frames'
        self.frames.mkdir(exist_ok=True)
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

    def write(self, picture: Picture, restored: np.ndarray) -> None:
        """See :class:`Sink`."""
        bgr = np.ascontiguousarray(restored[..., ::-1])
        encoded = cv2.imencode('.png', bgr)[1]
        self._names.append(f'{picture.name}.png')
        AtomicBackend().put(encoded.tobytes(), self.frames / self._names[-1])

    def finish(self) -> None:
        """See :class:`Sink`."""
        AtomicBackend().put_text('\n'.join(self._names), self._marker)

    def abandon(self) -> None:
        """See :class:`Sink`; frames that are there are simply written again."""

    def assemble(self, output: Path, segments: int, last_duration: int, cut: Cut) -> list[str]:
        """See :class:`Sink`."""
        if output.is_dir():
            # A folder can't be replaced at once: the old one stands aside until the new is there.
            old = self.folder / 'replaced'
            os.replace(output, old)
            os.replace(self.frames, output)
            shutil.rmtree(old)
        else:
            os.replace(self.frames, output)
        return []


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
