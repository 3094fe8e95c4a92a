# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""From frames to packets, segment by segment.

Every segment is encoded by itself and starts with a keyframe, so that segments made by different
runs join into the same file as those of one run. A segment is a bare file of packets with their
times, and not a small video: containers round times to their own clock (Matroska to milliseconds),
move the first one to 0 and make up times of decoding, so what is read back and joined would not be
what the encoder wrote. Headers need not be kept, for an encoder with the same settings makes the
same ones again.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import av
import numpy as np

from ..utils.files import part_of
from .color import from_rgb
from .encoding import EncoderSettings, configure, encoding_error

# Of each packet in a file: when it is shown, whether it is a keyframe, its length.
_HEAD = struct.Struct('<qBI')


class Record(NamedTuple):
    """A packet of a video.

    Attributes:
        time (int): When it is shown, ticks.
        is_keyframe (bool): Whether it is a keyframe.
        data (bytes): What the encoder made.
    """

    time: int
    is_keyframe: bool
    data: bytes


class PacketEncoder:
    """Encode frames.

    Args:
        settings (EncoderSettings): How to encode.

    Raises:
        EncodingError: The encoder does not take the settings; from all methods.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        self.settings = settings
        self._context = cast(av.VideoCodecContext, av.CodecContext.create(settings.codec, 'w'))
        configure(self._context, settings)
        self._times: list[int] = []

    def open(self) -> None:
        """Start the encoder, which the first frame does otherwise."""
        try:
            self._context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise encoding_error(self.settings, error) from error

    @property
    def extradata(self) -> bytes | None:
        """Headers that a decoder needs beside the packets, once the encoder is open."""
        return self._context.extradata

    def encode(self, rgb: np.ndarray, time: int) -> list[Record]:
        """Encode a frame.

        Args:
            rgb (np.ndarray): (h, w, 3), uint8 or uint16.
            time (int): When it is shown, in ticks.

        Returns:
            list[Record]: Packets that are ready, in the order of decoding.
        """
        frame = from_rgb(rgb, self.settings.pix_fmt, self.settings.info.color)
        frame.pts, frame.time_base = len(self._times), 1 / self.settings.info.rate
        self._times.append(time)
        return self._encode(frame)

    def finish(self) -> list[Record]:
        """Return what the encoder still holds."""
        return self._encode(None)

    def _encode(self, frame: av.VideoFrame | None) -> list[Record]:
        try:
            packets = self._context.encode(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise encoding_error(self.settings, error) from error
        return [Record(self._times[p.pts or 0], p.is_keyframe, bytes(p)) for p in packets]


class SegmentEncoder:
    """Encode one segment into a file of packets that appears when it is whole.

    Args:
        path (Path): The file.
        settings (EncoderSettings): How to encode.
    """

    def __init__(self, path: Path, settings: EncoderSettings) -> None:
        self.path = path
        self._encoder = PacketEncoder(settings)
        self._part = part_of(path)
        self._file = open(self._part, 'wb')  # noqa: SIM115 (closed in finish and abandon)

    def write(self, rgb: np.ndarray, time: int) -> None:
        """Encode a frame.

        Args:
            rgb (np.ndarray): (h, w, 3), uint8 or uint16.
            time (int): When it is shown, in ticks.
        """
        self._write(self._encoder.encode(rgb, time))

    def _write(self, records: list[Record]) -> None:
        for time, is_keyframe, data in records:
            self._file.write(_HEAD.pack(time, is_keyframe, len(data)))
            self._file.write(data)

    def finish(self) -> None:
        """Write what the encoder still holds; the file gets its name."""
        self._write(self._encoder.finish())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self.path)

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def read_records(path: Path, with_data: bool = True) -> Iterator[Record]:
    """Read what a :class:`SegmentEncoder` wrote.

    Args:
        path (Path): The file of a segment.
        with_data (bool): Whether to read the packets or their times alone. Defaults to True.
    """
    with open(path, 'rb') as file:
        while head := file.read(_HEAD.size):
            time, is_keyframe, size = _HEAD.unpack(head)
            data = file.read(size) if with_data else b''
            if not with_data:
                file.seek(size, os.SEEK_CUR)
            yield Record(time, bool(is_keyframe), data)
