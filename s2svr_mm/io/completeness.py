# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Whether a video file that can be read to its end is complete."""

import mmap
import os

import av

from .packet_list import PacketList

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
# Elements of Matroska whose content is looked into.
_OPENED = frozenset([_SEGMENT, _CLUSTER])


def what_is_missing(path: str, kind: str, stream: av.VideoStream, packets: PacketList) -> str:
    """Describe the evidence that a file has lost frames of which no packet is left.

    Args:
        path: The file.
        kind: FFmpeg's name of its container.
        stream: Its video.
        packets: The packets of that.

    Returns:
        What shows it; '' if nothing does.
    """
    length = os.path.getsize(path)
    lost = sum(entry.pos + entry.size > length for entry in stream.index_entries)
    if lost:
        return f'the file is cut off: its last {lost} pictures are not in it'
    if packets.broken_off:
        return 'the file cannot be read to its end'
    end = packets.position[-1] + packets.size[-1] if packets.size else length
    if kind == 'yuv4mpegpipe' and end < length:
        return 'the file is cut off: its last frame is not whole'
    if kind.startswith('matroska'):
        return _flaw_of_matroska(path, length)
    with open(path, 'rb') as file:
        head = file.read(8)
    if kind == 'avi' and head[:4] == b'RIFF':
        stated = int.from_bytes(head[4:], 'little')
        if stated != 0xFFFFFFFF and 8 + stated > length:
            return _shorter(length, 8 + stated)
    return ''


def _shorter(length: int, stated: int) -> str:
    return f'the file is cut off: it has {length} of its {stated} bytes'


def _flaw_of_matroska(path: str, length: int) -> str:
    """Follow the elements of a Matroska file (RFC 8794, RFC 9559), each of which says its length.

    Readers skip invalid bytes up to the next cluster, without an error.
    """
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place, end = 0, length
        while place < end:
            kind, start, size = _element(data, place)
            stop = end if size is None else start + size
            if kind == _SEGMENT:
                if stop > length:
                    return _shorter(length, stop)
                # What follows it belongs to no video.
                end = stop
            if not kind or (size is None and kind not in _OPENED):
                return f'the file is damaged at byte {place}, and frames may be lost there'
            if stop > end:
                return f'the file is damaged or cut off at byte {place}, and frames may be lost'
            place = start if kind in _OPENED else stop
    return ''


def _element(data: mmap.mmap, place: int) -> tuple[int, int, int | None]:
    """Read the head of an element of Matroska.

    Args:
        data: The file.
        place: Where it begins.

    Returns:
        Its kind, 0 if there is no element; where its content begins; and the length of that, None
        if it is not known beforehand.
    """
    head = data[place : place + 12]
    width = 9 - head[0].bit_length()
    if width > 4 or len(head) <= width or not head[width]:
        return 0, place, None
    more = 9 - head[width].bit_length()
    size = int.from_bytes(head[width : width + more], 'big') & ((1 << 7 * more) - 1)
    unknown = size == (1 << 7 * more) - 1
    return (
        int.from_bytes(head[:width], 'big'),
        place + width + more,
        None if unknown else size,
    )
