# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Finding a change of the frames' size without decoding all of them."""

from collections.abc import Iterable, Iterator

import av
from PIL import Image

from .images import EXIF_ORIENTATION, ImageReader
from .media import open_video, video_stream
from .reader import Reader
from .video import VideoReader
from .video_index import index_video, packets_of

# From this orientation of EXIF on, width and height change places.
_FIRST_TURNED = 5


def first_size_change(reader: Reader, start: int = 0, stop: int | None = None) -> int | None:
    """Find the first frame of another size, by the keyframes of a video or the heads of images.

    Codecs that change their size elsewhere, or have nothing but keyframes, are not searched.

    Args:
        reader: The frames.
        start: Number of the first frame. Defaults to 0.
        stop: Number after the last one. Defaults to None, the end.

    Returns:
        Number of the frame; None if there is none, as far as can be told.
    """
    sizes: Iterable[tuple[int, tuple[int, int] | None]] = ()
    if isinstance(reader, VideoReader):
        sizes = _keyframe_sizes(reader.path)
    elif isinstance(reader, ImageReader) and len(reader.files()) == reader.num_frames:
        sizes = enumerate(map(_image_size, reader.files()[:stop]))
    expected: tuple[int, int] | None = None
    for number, size in sizes:
        if stop is not None and number >= stop:
            return None
        if number > start and None not in (expected, size) and size != expected:
            return number
        # Of a video, the last keyframe that is not after the first frame.
        expected = size or expected
    return None


def _keyframe_sizes(path: str) -> Iterator[tuple[int, tuple[int, int]]]:
    index = index_video(path)
    keys = set(index.keys.tolist())
    with open_video(path) as container:
        stream = video_stream(container, path)
        codec = stream.codec_context
        if len(keys) == len(index.number):
            return
        for number, packet in enumerate(packets_of(container, stream)):
            if number not in keys or index.number[number] < 0:
                continue
            try:
                frames = [*codec.decode(packet), *codec.decode(None)]
            except av.error.FFmpegError:
                frames = []
            codec.flush_buffers()
            for frame in frames[:1]:
                yield int(index.number[number]), (frame.height, frame.width)


def _image_size(path: str) -> tuple[int, int] | None:
    """Height and width, upright; None where reading the frame will tell what is wrong with it."""
    try:
        with Image.open(path) as image:
            exif = Image.Exif()
            if image.format == 'TIFF':
                exif = image.getexif()
            elif 'exif' in image.info:
                # Of a PNG without any, getexif() decodes all of it.
                exif.load(image.info['exif'])
            turned = exif.get(EXIF_ORIENTATION, 1) >= _FIRST_TURNED
            return (image.width, image.height) if turned else (image.height, image.width)
    except (OSError, ValueError, SyntaxError):
        return None
