# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Write small video files and read them back, without the readers under test."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECONDS = Fraction(1, 1000)


def write_movie(
    path: Path,
    frames: np.ndarray,
    times: Sequence[int] | None = None,
    codec: str = 'libx264',
    pix_fmt: str = 'yuv420p',
    sound: bool = False,
    subtitles: bool = False,
    rotation: int = 0,
    pixel_aspect: Fraction = Fraction(1),
    colours: tuple[int, int, int, int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode RGB frames, shown at ``times`` in milliseconds, with sound and subtitles."""
    times = [40 * i for i in range(len(frames))] if times is None else times
    with av.open(str(path), 'w') as container:
        video = container.add_stream(codec, rate=25, options=options or {})
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = pix_fmt
        context = video.codec_context
        context.time_base = MILLISECONDS
        context.gop_size = 8
        context.sample_aspect_ratio = pixel_aspect
        if colours:
            context.color_range, context.colorspace = colours[:2]
            context.color_primaries, context.color_trc = colours[2:]
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream('aac', rate=16000, layout='mono') if sound else None
        text = container.add_mux_stream('subrip') if subtitles else None
        for frame, time in zip(frames, times, strict=True):
            kind = 'rgb24' if frame.dtype == np.uint8 else 'rgb48le'
            picture = av.VideoFrame.from_ndarray(frame, format=kind)
            if colours:
                picture = picture.reformat(
                    format=pix_fmt,
                    dst_colorspace=5 if colours[1] == 6 else colours[1],
                    dst_color_range=colours[0],
                )
            picture.pts, picture.time_base = time, MILLISECONDS
            container.mux(video.encode(picture))
        container.mux(video.encode())
        seconds = times[-1] / 1000 + 0.04
        if audio:
            wave = np.sin(np.arange(int(16000 * seconds)) / 7) * 8000
            for start in range(0, len(wave) - 1023, 1024):
                chunk = wave[None, start : start + 1024].astype(np.int16)
                sample = av.AudioFrame.from_ndarray(chunk, format='s16', layout='mono')
                sample.sample_rate, sample.pts = 16000, start
                sample.time_base = Fraction(1, 16000)
                container.mux(audio.encode(sample))
            container.mux(audio.encode())
        if text:
            for i in range(int(seconds * 5)):
                packet = av.Packet(f'line {i}'.encode())
                packet.stream, packet.time_base = text, MILLISECONDS
                packet.pts = packet.dts = 200 * i
                packet.duration = 150
                container.mux_one(packet)
    return path


def packets_of(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Time in seconds and data of each packet of the streams of one kind."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [
            (round(float(packet.pts * packet.time_base), 3), bytes(packet))
            for packet in container.demux(*streams)
            if packet.size
        ]


def pictures_of(path: Path) -> tuple[list[float], np.ndarray]:
    """Times in seconds and RGB frames of a video."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [round(f.time, 3) for f in frames], np.stack(
            [f.to_ndarray(format='rgb24') for f in frames]
        )


def write_video(
    path: Path,
    frames: np.ndarray,
    codec: str = 'libx264',
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    rotation: int = 0,
) -> Path:
    """Encode RGB frames (t, h, w, 3), at ``times`` (25ths of a second), into a video file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.gop_size = 4
        if rotation:
            stream.set_display_rotation(rotation)
        for frame, time in zip(frames, times or range(len(frames)), strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            picture.pts, picture.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def decode_all(path: Path) -> list[av.VideoFrame]:
    """Decode a whole video from its first frame on as FFmpeg does, without our reader."""
    frames = []
    with av.open(f'file:{path}') as container:
        for packet in container.demux(video=0):
            try:
                frames += packet.decode()
            except av.error.FFmpegError:
                continue
    return frames


def copy_packets(source: Path, target: Path, skip: int = 0, earlier: int = 0) -> Path:
    """Copy a video's packets without the first so many, all so many ticks earlier."""
    with av.open(str(source)) as old, av.open(str(target), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = (packet for packet in old.demux(video=0) if packet.size)
        for packet in list(packets)[skip:]:
            packet.stream = stream
            packet.pts, packet.dts = packet.pts - earlier, packet.dts - earlier
            new.mux(packet)
    return target


def break_packet(path: Path, number: int) -> None:
    """Overwrite the middle of one packet of an MP4 file with zeros."""
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    position, size = packets[number]
    data = bytearray(path.read_bytes())
    middle = position + size // 2
    data[middle : middle + 60] = bytes(60)
    path.write_bytes(data)


def set_display_matrix(path, a, b, c, d):
    data = bytearray(path.read_bytes())
    place = data.rindex(b'tkhd') + 44
    numbers = [round(x * 65536) for x in (a, b, 0, c, d, 0, 0, 0)]
    struct.pack_into('>9i', data, place, *numbers, 1 << 30)
    path.write_bytes(data)
