# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The packets of a video stream, without their data."""

import zlib
from dataclasses import dataclass, field

import av
import numpy as np
from av.stream import Discard

# Stands for a time that a packet does not state.
UNKNOWN = np.iinfo(np.int64).min


@dataclass
class PacketList:
    """What is kept of each packet of a stream; the data themselves may not fit in memory.

    Attributes:
        pts: When it is shown, in ticks; ``UNKNOWN`` if it does not say.
        dts: When it is decoded, likewise.
        position: Its place in the file, in bytes; -1 if that is not known.
        duration: How long it is shown, in ticks; 0 if it does not say.
        size: Its length in bytes.
        checksum: CRC-32 of its bytes.
        is_key: Whether decoding may start from it.
        is_hidden: Whether it is decoded but not shown.
        is_corrupt: Whether the container misses a part of it.
        broken_off: Whether reading ended before the file did.
    """

    pts: list[int] = field(default_factory=list)
    dts: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    duration: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    checksum: list[int] = field(default_factory=list)
    is_key: list[bool] = field(default_factory=list)
    is_hidden: list[bool] = field(default_factory=list)
    is_corrupt: list[bool] = field(default_factory=list)
    broken_off: bool = False


def list_packets(container: av.container.InputContainer, stream: av.VideoStream) -> PacketList:
    """Read all packets of a stream, without decoding them."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    packets, codec = PacketList(), stream.codec_context.name
    try:
        for packet in container.demux(stream):
            if packet.size:
                packets.pts.append(UNKNOWN if packet.pts is None else packet.pts)
                packets.dts.append(UNKNOWN if packet.dts is None else packet.dts)
                packets.position.append(-1 if packet.pos is None else packet.pos)
                packets.duration.append(packet.duration or 0)
                packets.size.append(packet.size)
                packets.checksum.append(zlib.crc32(packet))
                packets.is_key.append(packet.is_keyframe)
                # A trimmed video starts with packets that are decoded but not shown.
                packets.is_hidden.append(packet.is_discard or _is_never_shown(codec, packet))
                packets.is_corrupt.append(packet.is_corrupt)
    except av.error.FFmpegError:
        packets.broken_off = True
    return packets


def _is_never_shown(codec: str, packet: av.Packet) -> bool:
    """Whether a packet of VP8 or VP9 holds a reference alone; their headers say it in a bit."""
    if codec not in ('vp8', 'vp9', 'libvpx', 'libvpx-vp9'):
        return False
    head = memoryview(packet)[0]
    if 'vp8' in codec or codec == 'libvpx':
        return not head >> 4 & 1
    if memoryview(packet)[-1] >> 5 == 0b110:  # a superframe: its last frame is shown
        return False
    bits = f'{head:08b}'[5 if head >> 4 & 3 == 3 else 4 :]
    # Whether an existing frame is shown; the frame type; whether this one is.
    return bits[0] == '0' and bits[2] == '0'
