# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What is to be restored, as a stream: a video, a folder of frames, a glob or raw YUV."""

import glob
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation

from ..errors import DataError
from .clips import natural_key, open_clip
from .images import read_image
from .paths import IMAGE_SUFFIXES, YUV_SUFFIXES, suffix_of
from .video import decode_video, index_video, open_video
from .yuv import count_yuv_frames, read_yuv420, yuv420_to_rgb, yuv_frame_size

# Codes of ITU-T H.273, as the streams carry them.
UNSPECIFIED = 2
BT709, BT601 = 1, 6
LIMITED_RANGE, FULL_RANGE = 1, 2
# H.273's code of the matrix -> swscale's.
_SWS_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}

CONVERSION = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


@dataclass(frozen=True)
class Look:
    """All that says how the samples of a video are to be shown, apart from the samples.

    Attributes:
        height (int): Height, upright.
        width (int): Width, upright.
        bits (int): 8, or 10 for anything deeper.
        chroma (str): '420', '422', '444' or 'gray'.
        matrix (int): Code of the colour matrix, H.273.
        color_range (int): 1 limited, 2 full.
        primaries (int): Code of the colour primaries, H.273; 2 is unspecified.
        transfer (int): Code of the transfer characteristics, H.273; 2 is unspecified.
        pixel_aspect (Fraction): Width of a pixel over its height.
        rate (Fraction): Frames per second, on average.
        time_base (Fraction): Seconds of one tick of the frames' times.
    """

    height: int
    width: int
    bits: int = 8
    chroma: str = '420'
    matrix: int = BT709
    color_range: int = LIMITED_RANGE
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    pixel_aspect: Fraction = Fraction(1)
    rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, 25)

    @property
    def sws_matrix(self) -> int:
        """Code of the colour matrix for swscale."""
        return _SWS_MATRIX[self.matrix]


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        rgb (np.ndarray): (h, w, 3), uint8 or uint16 (full range), upright.
        time (int): When it is shown, in ticks.
        duration (int): How long, in ticks; 0 if unknown.
        name (str): Name for its file, without a suffix.
    """

    rgb: np.ndarray
    time: int
    duration: int
    name: str


class Source(ABC):
    """Frames in order.

    Attributes:
        path (str): What was given.
        look (Look): How frames are shown.
        num_frames (int, optional): Number of frames, None if it can't be told without decoding.
        damage (str, optional): What is wrong with the file; known for sure once all was read.
        has_streams (bool): Whether there may be sound or subtitles.
        first_time (int): When the first frame is shown, in ticks.
    """

    path: str
    look: Look
    num_frames: int | None
    damage: str | None = None
    has_streams = False
    first_time = 0

    @abstractmethod
    def read(self) -> Iterator[Frame]:
        """Yield all frames."""

    @abstractmethod
    def files(self) -> list[str]:
        """All files that are read."""

    def place(self, index: int) -> str:
        """Name a frame for a message."""
        return f'{self.path}: frame {index}'

    def fingerprint(self) -> str:
        """Hash that changes when a file does, by names, sizes and times of change."""
        digest = hashlib.sha256()
        for file in self.files():
            stat = os.stat(file)
            digest.update(f'{os.path.abspath(file)} {stat.st_size} {stat.st_mtime_ns}\n'.encode())
        return digest.hexdigest()

    def pictures(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames from ``start`` to before ``stop``.

        Raises:
            DataError: A frame is of another size than the first one.
        """
        for index, picture in enumerate(islice(self.read(), start, stop), start):
            height, width = picture.rgb.shape[:2]
            if (height, width) != (self.look.height, self.look.width):
                raise DataError(
                    f'{self.place(index)} is {width}x{height}, the first one {self.look.width}x'
                    f'{self.look.height}. Leave it out if it is one alone, or split there '
                    '(--frames) and restore the parts one by one.'
                )
            yield picture


class VideoSource(Source):
    """A video file.

    Args:
        path (str): The file.

    Raises:
        DataError: It is missing, no video, interlaced, or damaged from the start.
    """

    has_streams = True

    def __init__(self, path: str) -> None:
        self.path = path
        with self._open() as container:
            stream = container.streams.video[0]
            frame = next(decode_video(container, path), None)
            if frame is None:
                raise DataError(f'The video {path} holds no frames.')
            self.look = _look_of(frame, stream)
            self.first_time = frame.pts or 0
        try:
            self.num_frames = index_video(path).num_frames
        except DataError as error:
            self.num_frames, self.damage = None, str(error)

    def _open(self) -> av.container.InputContainer:
        container = open_video(self.path)
        if container.streams.video[0].disposition & Disposition.attached_pic:
            container.close()
            raise DataError(f'{self.path} holds no video, only a cover picture.')
        return container

    def files(self) -> list[str]:
        """The file."""
        return [self.path]

    def read(self) -> Iterator[Frame]:
        """Yield all frames; where the file is damaged they end and :attr:`damage` tells it."""
        with self._open() as container:
            ticks = max(round(1 / (self.look.rate * self.look.time_base)), 1)
            held: Frame | None = None
            for index, frame in enumerate(self._frames(container)):
                following = self.first_time if held is None else held.time + ticks
                time = following if frame.pts is None else frame.pts
                if held is not None:
                    # Times must rise, or no container takes the frames.
                    time = max(time, held.time + 1)
                    yield replace(held, duration=time - held.time)
                held = Frame(self._to_rgb(frame), time, frame.duration or ticks, f'{index:08d}')
            if held is not None:
                yield held

    def _frames(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """The frames up to where the file is damaged, but at least one."""
        frames = decode_video(container, self.path)
        yield next(frames)
        try:
            yield from frames
        except DataError as error:
            self.damage = str(error)

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        if frame.interlaced_frame:
            raise DataError(
                f'{self.path} is interlaced: each frame holds two moments. Make it progressive '
                f'first: ffmpeg -i {self.path} -vf bwdif=deint=interlaced -crf 10 progressive.mkv'
            )
        if any(c.is_alpha for c in frame.format.components) or frame.format.has_palette:
            alpha = frame.reformat(format='rgba').to_ndarray()[..., 3]
            if alpha.min() < 255:
                raise DataError(
                    f'{self.path} is partly transparent, so its colours are not defined. Flatten '
                    'it onto a background.'
                )
        rgb = frame.reformat(
            format='rgb24' if self.look.bits == 8 else 'rgb48le',
            src_colorspace=self.look.sws_matrix,
            src_color_range=self.look.color_range,
            dst_color_range=FULL_RANGE,
            interpolation=CONVERSION,
        ).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))


def _look_of(frame: av.VideoFrame, stream: av.VideoStream) -> Look:
    """How a video wants to be shown, by its first frame."""
    if frame.rotation % 90:
        raise DataError(f'A rotation by {frame.rotation} degrees is not supported.')
    kind = frame.format
    luma_bits = max(c.bits for c in kind.components)
    matrix = int(frame.colorspace)
    if kind.is_rgb or matrix not in _SWS_MATRIX:
        # Players guess by the size; what is written says it, for the size may change.
        matrix = BT709 if frame.height >= 720 or frame.width >= 1280 else BT601
    full = kind.name.startswith('yuvj') or int(frame.color_range) == FULL_RANGE
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    aspect = aspect if aspect else Fraction(1)
    height, width = frame.height, frame.width
    if frame.rotation % 180:
        height, width, aspect = width, height, 1 / aspect
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
    return Look(
        height=height,
        width=width,
        bits=8 if luma_bits <= 8 or kind.has_palette else 10,
        chroma=_chroma_of(kind),
        matrix=matrix,
        color_range=FULL_RANGE if full and not kind.is_rgb else LIMITED_RANGE,
        primaries=int(frame.color_primaries) or UNSPECIFIED,
        transfer=int(frame.color_trc) or UNSPECIFIED,
        pixel_aspect=Fraction(aspect),
        rate=Fraction(rate),
        time_base=Fraction(stream.time_base or 1 / Fraction(rate)),
    )


def _chroma_of(kind: av.VideoFormat) -> str:
    if kind.is_rgb or kind.has_palette:
        return '444'
    if sum(not c.is_alpha for c in kind.components) == 1:
        return 'gray'
    if kind.chroma_width(64) == 64:
        return '444' if kind.chroma_height(64) == 64 else '420'
    return '422' if kind.chroma_height(64) == 64 else '420'


class ImageSource(Source):
    """Image files, one a frame.

    Args:
        path (str): What was given, for messages.
        images (list[str]): The files in order.
        rate (Fraction): Frames per second.
    """

    def __init__(self, path: str, images: list[str], rate: Fraction) -> None:
        self.path = path
        self.images = images
        self.num_frames = len(images)
        stems = [os.path.splitext(os.path.basename(image))[0] for image in images]
        # Images of several folders may share names.
        distinct = len(set(stems)) == len(stems)
        self.names = stems if distinct else [f'{i:08d}' for i in range(len(stems))]
        first = read_image(images[0])
        self.look = Look(
            height=first.shape[0],
            width=first.shape[1],
            bits=8 if first.dtype == np.uint8 else 10,
            rate=rate,
            time_base=1 / rate,
        )

    def files(self) -> list[str]:
        """The image files."""
        return self.images

    def place(self, index: int) -> str:
        """Name a frame for a message."""
        return f'{self.images[index]} (frame {index})'

    def read(self) -> Iterator[Frame]:
        """Yield all frames."""
        for index, image in enumerate(self.images):
            rgb = read_image(image)
            yield Frame(_with_bits(rgb, self.look.bits), index, 1, self.names[index])


def _with_bits(rgb: np.ndarray, bits: int) -> np.ndarray:
    """An image of :func:`read_image` as uint8, or uint16 for more than 8 bits."""
    if bits == 8:
        return rgb if rgb.dtype == np.uint8 else rgb.round().astype(np.uint8)
    return np.rint(rgb.astype(np.float32) * 257).astype(np.uint16)


class YuvSource(Source):
    """A raw YUV 4:2:0 file of 8 bits.

    Args:
        path (str): The file.
        rate (Fraction): Frames per second.
        size (tuple[int, int], optional): (width, height); None takes it from the name.
    """

    def __init__(self, path: str, rate: Fraction, size: tuple[int, int] | None = None) -> None:
        self.path = path
        self.size = yuv_frame_size(path, size)
        self.num_frames = count_yuv_frames(path, self.size)
        self.look = Look(
            height=self.size[1],
            width=self.size[0],
            matrix=BT601,
            rate=rate,
            time_base=1 / rate,
        )

    def files(self) -> list[str]:
        """The file."""
        return [self.path]

    def read(self) -> Iterator[Frame]:
        """Yield all frames."""
        for index in range(self.num_frames):
            frame = read_yuv420(self.path, [index], self.size)[0]
            yield Frame(yuv420_to_rgb(frame), index, 1, f'{index:08d}')


def open_source(
    path: str, rate: Fraction | None = None, yuv_size: tuple[int, int] | None = None
) -> Source:
    """Open what a person gives.

    Args:
        path (str): A video file, a raw YUV file, a folder of frames, an image file, or a glob of
            image files such as ``'frames/*.png'``.
        rate (Fraction, optional): Frames per second where nothing tells it (frames, raw YUV);
            25 if None. A video keeps its own.
        yuv_size (tuple[int, int], optional): (width, height) of a YUV file whose name does not
            tell it.

    Returns:
        Source: The frames.

    Raises:
        DataError: There is nothing to read, or it is of no kind that can be read.
    """
    if os.path.isdir(path):
        names = open_clip(path).names
        return ImageSource(path, [os.path.join(path, n) for n in names], rate or Fraction(25))
    if not os.path.exists(path):
        if not glob.has_magic(path):
            raise DataError(f'There is no {path}.')
        images = sorted(glob.glob(path), key=natural_key)
        images = [image for image in images if suffix_of(image) in IMAGE_SUFFIXES]
        if not images:
            raise DataError(f'{path} matches no image files.')
        return ImageSource(path, images, rate or Fraction(25))
    if suffix_of(path) in IMAGE_SUFFIXES:
        return ImageSource(path, [path], rate or Fraction(25))
    if suffix_of(path) in YUV_SUFFIXES:
        return YuvSource(path, rate or Fraction(25), yuv_size)
    source = VideoSource(path)
    if rate is not None:
        raise DataError(f'{path} has a frame rate of its own; --fps is for frames and raw YUV.')
    return source


def scaled(look: Look, scale: int, width_factor: int = 1) -> Look:
    """The look of a restored video.

    Args:
        look (Look): That of the source.
        scale (int): Size of the output over that of the input.
        width_factor (int): How many frames stand side by side. Default: 1.
    """
    return replace(look, height=look.height * scale, width=look.width * scale * width_factor)
