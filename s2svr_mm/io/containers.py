# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The kinds of video files that are written, and what each of them can hold.

FFmpeg opens many more names for writing, but what comes out is not what a person means by them:
parts without their headers (.h264, .hevc), H.264 under the name of raw samples (.yuv), lists
whose segments are elsewhere (.m3u8, .mpd), jumbled times (.mpg, .wmv). So a name is on this list or
refused. Which codecs fit is not listed: :mod:`.rehearsal` tries it.
"""

from dataclasses import dataclass, field

from ..errors import EncodingError


@dataclass(frozen=True)
class Container:
    """A kind of video file.

    Attributes:
        format (str): FFmpeg's name of the muxer.
        sound (str): Encoder for sound that it can't hold as it is.
        foreign (tuple[str, ...]): Starts of the names of codecs that FFmpeg puts into it, and few
            others find in it.
        subtitles (str, optional): Encoder for text subtitles that it can't hold as they are.
        options (dict[str, str]): Options of the muxer.
        edit_lists (bool): Whether it hides what is decoded before the time 0, so that it may hold
            the packets that the first audible one needs.
        codec_delay (bool): Whether it says how much of the start a decoder makes up.
        even (bool): Whether it knows no times but only a rate.
        attachments (bool): Whether it holds files, such as fonts.
    """

    format: str
    sound: str = 'aac'
    foreign: tuple[str, ...] = ()
    subtitles: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    edit_lists: bool = False
    codec_delay: bool = False
    even: bool = False
    attachments: bool = False


_MP4 = Container('mp4', foreign=('pcm_', 'vorbis'), subtitles='mov_text', edit_lists=True)
_NOT_IN_OLD_FLV = ('hevc', 'av1', 'vp', 'ac3', 'eac3', 'opus', 'flac', 'pcm_')
CONTAINERS = {
    '.mp4': _MP4,
    '.m4v': _MP4,
    '.mov': Container('mov', subtitles='mov_text', edit_lists=True),
    # FLAC loses nothing of what the decoder makes of it.
    '.mkv': Container(
        'matroska', sound='flac', subtitles='subrip', codec_delay=True, attachments=True
    ),
    '.webm': Container('webm', sound='libopus', subtitles='webvtt', codec_delay=True),
    '.avi': Container('avi', sound='pcm_s16le', even=True),
    '.ts': Container('mpegts'),
    '.m2ts': Container('mpegts', options={'mpegts_m2ts_mode': '1'}),
    '.mts': Container('mpegts', options={'mpegts_m2ts_mode': '1'}),
    '.flv': Container('flv', foreign=_NOT_IN_OLD_FLV),
    '.3gp': Container('3gp', edit_lists=True),
    '.nut': Container('nut', sound='pcm_s16le'),
}


def container_of(suffix: str) -> Container:
    """Look up what a file's name says it is.

    Args:
        suffix (str): Ending of the file, such as '.mp4'.

    Raises:
        EncodingError: Such files are not written.
    """
    try:
        return CONTAINERS[suffix.lower()]
    except KeyError:
        raise EncodingError(
            f'{suffix} files are not written: name the output .mp4 or .mkv ('
            f'or one of {", ".join(s for s in CONTAINERS if s not in (".mp4", ".mkv"))}), or give '
            'a name without an ending for a folder of frames'
        ) from None
