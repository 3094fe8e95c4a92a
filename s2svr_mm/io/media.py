# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Open media files by their content, and choose the video stream that all readers use."""

from fractions import Fraction

import av
from av.stream import Disposition

from ..errors import DataError

_PICTURE_CODECS = frozenset(['mjpeg', 'png', 'bmp', 'gif', 'tiff', 'webp', 'apng'])
_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
# Frames per second that a video may have; what a damaged or careless file states beyond is no rate.
_SLOWEST, _FASTEST = Fraction(1, 1000), Fraction(1000)
_USUAL_RATE = Fraction(25)


def media_url(path: str) -> str:
    """Return what FFmpeg opens for a file, whatever its name looks like: ``http:x.mp4``."""
    return f'file:{path}'


def open_video(path: str) -> av.container.InputContainer:
    """Open a file by its content; what is not UTF-8 in its tags is replaced.

    Raises:
        DataError: The file is missing, or FFmpeg can't read it.
    """
    try:
        return av.open(media_url(path), metadata_errors='replace')
    except (av.error.FFmpegError, OSError) as error:
        raise DataError(
            f'Cannot open the video {path}: {error.strerror}. It is missing, cut off, damaged or '
            'not a video; copy it again.'
        ) from error


def video_streams(container: av.container.Container) -> list[av.VideoStream]:
    """Return the videos of a file that can be decoded, without pictures and thumbnails."""
    videos = [s for s in container.streams.video if s.codec_context is not None]
    return [stream for stream in videos if not stream.disposition & _PICTURES]


def video_stream(container: av.container.InputContainer, path: str) -> av.VideoStream:
    """Choose a file's video: the first stream that is none of its cover pictures.

    Args:
        container: The open file.
        path: Its name, for messages.

    Raises:
        DataError: There is none, or none that can be decoded.
    """
    if container.format.name == 'tty':
        raise DataError(f'{path} is text, not a video.')
    if usable := video_streams(container):
        first = usable[0]
        if len(usable) > 1 and first.codec_context.name in _PICTURE_CODECS:
            # A cover need not be marked as one; FFmpeg has seen how many pictures there are.
            best = container.streams.best('video')
            return next((s for s in usable if best and s.index == best.index), first)
        return first
    pictures = [bool(stream.disposition & _PICTURES) for stream in container.streams.video]
    if pictures and all(pictures):
        raise DataError(f'{path} holds no video, only a cover picture.')
    raise DataError(f'{path} holds no video that can be decoded. Is it cut off or damaged?')


def stated_rate(stream: av.VideoStream) -> Fraction:
    """Return the frames per second that a file states; 25 if it states none that can be."""
    stated = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    rates = (Fraction(rate) for rate in stated if rate)
    return next((rate for rate in rates if _SLOWEST <= rate <= _FASTEST), _USUAL_RATE)


def plausible_rate(rate: Fraction) -> Fraction:
    """Bring a measured rate into the range that encoders and containers know.

    Args:
        rate: Frames per second.
    """
    return min(max(rate, _SLOWEST), _FASTEST)
