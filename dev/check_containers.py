# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restore tiny videos of all containers and codecs into all others, and have ffprobe judge.

Needs ffmpeg and ffprobe. A network that changes nothing stands for the restoration; all else is
what ``s2svr restore`` does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FRAMES = 8
OUTPUTS = ('mp4', 'm4v', 'mov', 'mkv', 'webm', 'avi', 'ts', 'm2ts', 'mts', 'flv', '3gp', 'nut')
INPUTS = ('mp4', 'mov', 'mkv', 'webm', 'avi', 'ts', 'm2ts', 'flv', '3gp', 'nut', 'mpg', 'wmv')
# FFmpeg's name of each codec, with that of its encoder.
VIDEO = {
    'h264': 'libx264',
    'hevc': 'libx265',
    'av1': 'libsvtav1',
    'vp9': 'libvpx-vp9',
    'vp8': 'libvpx',
    'mpeg4': 'mpeg4',
    'mpeg2video': 'mpeg2video',
    'prores': 'prores_ks',
}
SOUND = {
    'aac': 'aac',
    'mp3': 'libmp3lame',
    'mp2': 'mp2',
    'ac3': 'ac3',
    'eac3': 'eac3',
    'opus': 'libopus',
    'vorbis': 'libvorbis',
    'flac': 'flac',
    'alac': 'alac',
    'pcm_s16le': 'pcm_s16le',
}
_FORMATS = {'m2ts': 'mpegts', 'wmv': 'asf', 'mpg': 'vob'}
_SIGNS = {'kept': '+', 'converted': 'c', 'refused': '-', 'no such file': ' '}


@dataclass(frozen=True)
class Case:
    """One input, one output.

    Attributes:
        source: Container of the input.
        source_video: Codec of its video.
        sound: Codec of its sound.
        target: Container of the output.
        target_video: Codec that is asked for; None for what is chosen.
    """

    source: str
    source_video: str
    sound: str
    target: str
    target_video: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        video: What became of the video: 'kept', 'refused' or 'no such file'.
        sound: What became of the sound: 'kept', 'converted', 'refused' or 'no such file'.
        fault: What is wrong; empty if nothing is.
    """

    video: str
    sound: str
    fault: str = ''


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, choices in (('video', VIDEO), ('sound', SOUND)):
        parser.add_argument(f'--{name}', nargs='+', choices=choices, default=list(choices))
    parser.add_argument('--outputs', nargs='*', choices=OUTPUTS, default=list(OUTPUTS))
    parser.add_argument('--inputs', nargs='*', choices=INPUTS, default=list(INPUTS))
    return parser.parse_args()


def main() -> None:
    """Try all, print the tables; exit status 1 if anything is wrong."""
    args = parse_args()
    sys.path.insert(0, str(CHECKOUT))
    faults = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_streams(folder, args.video, args.sound)
        judge = Judge(folder)
        for title, cases in (
            ('From .mkv with H.264 to each container', [*_out(args)]),
            ('From each container to .mkv', [*_in(args)]),
        ):
            outcomes = {case: judge(case) for case in cases}
            faults += [f'{case}: {o.fault}' for case, o in outcomes.items() if o.fault]
            print_tables(title, outcomes)
    print(f'{len(faults)} faults', *faults, sep='\n')
    sys.exit(bool(faults))


def _out(args: argparse.Namespace) -> Iterable[Case]:
    for target in args.outputs:
        for video in args.video:
            for sound in args.sound:
                yield Case('mkv', 'h264', sound, target, video)


def _in(args: argparse.Namespace) -> Iterable[Case]:
    for source in args.inputs:
        for video in args.video:
            for sound in args.sound:
                yield Case(source, video, sound, 'mkv', None)


def _ffmpeg(*args: object) -> bool:
    command = ['ffmpeg', '-v', 'quiet', '-nostdin', '-y', *map(str, args)]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def _make_streams(folder: Path, videos: Iterable[str], sounds: Iterable[str]) -> None:
    """Write each codec's stream by itself."""
    picture = f'testsrc2=s=96x64:r=25:d={FRAMES / 25}'
    for codec in {'h264', *videos}:
        extra = ['-x265-params', 'log-level=none'] if codec == 'hevc' else []
        pix_fmt = 'yuv422p10le' if codec == 'prores' else 'yuv420p'
        done = _ffmpeg(
            *('-f', 'lavfi', '-i', picture, '-c:v', VIDEO[codec], '-pix_fmt', pix_fmt, *extra),
            folder / f'{codec}.mkv',
        )
        assert done, f'ffmpeg has no encoder {VIDEO[codec]}'
    for codec in sounds:
        sine = f'sine=r=48000:d={FRAMES / 25}'
        rest = ['-strict', '-2', '-c:a', SOUND[codec], '-ac', '2', folder / f'{codec}.mka']
        assert _ffmpeg('-f', 'lavfi', '-i', sine, *rest), f'ffmpeg has no encoder {SOUND[codec]}'


def _source(case: Case, folder: Path) -> Path | None:
    """Join a video and a sound; None if the container does not hold them."""
    path = folder / f'in_{case.source_video}_{case.sound}.{case.source}'
    if not path.exists():
        kind = ['-f', _FORMATS[case.source]] if case.source in _FORMATS else []
        streams = [folder / f'{case.source_video}.mkv', folder / f'{case.sound}.mka']
        _ffmpeg('-i', streams[0], '-i', streams[1], '-c', 'copy', '-strict', '-2', *kind, path)
    codecs, times, sounds = probe(path)
    there = codecs == [case.source_video, case.sound] and len(times) == FRAMES and sounds
    return path if there else None


def probe(path: Path) -> tuple[list[str], list[float], int]:
    """Ask ffprobe for the codecs in a file, the times of its frames, and how many sound has."""
    stamp = 'best_effort_timestamp_time'
    entries = f'stream=codec_name,codec_type:frame=media_type,{stamp}'
    command = ['ffprobe', '-v', 'quiet', '-of', 'json', '-show_entries', entries, str(path)]
    shown = json.loads(subprocess.run(command, stdout=subprocess.PIPE).stdout or b'{}')
    streams, frames = shown.get('streams', []), shown.get('frames', [])
    streams.sort(key=lambda stream: stream.get('codec_type') != 'video')
    kinds = [frame.get('media_type') for frame in frames]
    times = [
        float(f.get('best_effort_timestamp_time', 0))
        for f in frames
        if f.get('media_type') == 'video'
    ]
    return [stream.get('codec_name', '?') for stream in streams], times, kinds.count('audio')


class Judge:
    """Restores cases and looks at what comes of them.

    Args:
        folder: Where the streams of :func:`_make_streams` lie.
    """

    def __init__(self, folder: Path) -> None:
        from torch import nn

        from s2svr_mm.restoration.restorer import VideoRestorer

        self._folder = folder
        self._restorer = VideoRestorer(
            nn.Identity(), device='cpu', dtype='float32', window=FRAMES, overlap=2, tile=0
        )
        # By output and codec: why it does not hold the video at all; '' if it does.
        self._refused: dict[tuple[str, str | None], str] = {}

    def __call__(self, case: Case) -> Outcome:
        """Try a case."""
        source = _source(case, self._folder)
        if source is None:
            return Outcome('no such file', 'no such file')
        error, notes = self._restore(source, case)
        if error is None:
            return self._compared(source, case, notes)
        key = (case.target, case.target_video)
        if key not in self._refused:
            self._refused[key] = self._restore(source, case, ('audio',))[0] or ''
        video = 'refused' if self._refused[key] else 'kept'
        named = (case.target_video, VIDEO.get(case.target_video or ''), case.sound)
        if f'.{case.target}' not in error and not any(n and n in error for n in named):
            return Outcome(video, 'refused', f'the message names nothing: {error}')
        return Outcome(video, 'refused')

    def _output(self, case: Case) -> Path:
        return self._folder / f'out.{case.target}'

    def _restore(
        self, source: Path, case: Case, without: tuple[str, ...] = ()
    ) -> tuple[str | None, list[str]]:
        """Restore; returns the message of a refusal, and the notes of a success."""
        from s2svr_mm.errors import EncodingError
        from s2svr_mm.restoration.options import OutputOptions
        from s2svr_mm.restoration.restore_video import restore_video

        output = self._output(case)
        output.unlink(missing_ok=True)
        codec = VIDEO[case.target_video] if case.target_video else None
        options = OutputOptions(codec=codec, without=without)
        try:
            summary = restore_video(source, output, self._restorer, options=options, progress=False)
        except EncodingError as error:
            parts = output.with_name(f'{output.name}.parts')
            late = ' (found out after work was done)' if parts.exists() or output.exists() else ''
            return f'{error}{late}', []
        return None, summary.notes

    def _compared(self, source: Path, case: Case, notes: list[str]) -> Outcome:
        """Compare an output with its input, as ffprobe sees both."""
        codecs, times, sounds = probe(self._output(case))
        wanted = probe(source)[1]
        faults = []
        if len(codecs) != 2 or (case.target_video and codecs[0] != case.target_video):
            faults.append(f'it holds {codecs}')
        # AVI has no times of frames, and that of the last one is guessed.
        known = times[:-1] if 'avi' in (case.source, case.target) else times
        steps = [b - a for a, b in pairwise(known)]
        if len(times) != len(wanted):
            faults.append(f'{len(times)} frames instead of {len(wanted)}')
        elif max(abs(step - 1 / 25) for step in steps) > 0.002:
            faults.append(f'frames at {times}')
        if not sounds:
            faults.append('no sound can be decoded')
        kept = codecs[1:] == [case.sound]
        if not kept and not any('is converted' in note for note in notes):
            faults.append(f'sound was converted without a note: {notes}')
        return Outcome('kept', 'kept' if kept else 'converted', '; '.join(faults))


def print_tables(title: str, outcomes: Mapping[Case, Outcome]) -> None:
    """Print what becomes of each codec in each container, as Markdown."""
    is_out = any(case.target_video for case in outcomes)
    containers = list(dict.fromkeys(c.target if is_out else c.source for c in outcomes))
    counts = Counter('fault' if o.fault else o.sound for o in outcomes.values())
    print(f'## {title}: {len(outcomes)} cases, {dict(counts)}')
    for kind in ('video', 'sound'):
        print(f'\n| {kind} |', ' | '.join(f'.{name}' for name in containers), '|')
        print('|---' * (len(containers) + 1) + '|')
        name_of = attrgetter('sound' if kind == 'sound' else 'source_video')
        name_of = attrgetter('target_video') if is_out and kind == 'video' else name_of
        for codec in dict.fromkeys(map(name_of, outcomes)):
            row = []
            for container in containers:
                found = {
                    getattr(outcome, kind)
                    for case, outcome in outcomes.items()
                    if name_of(case) == codec
                    and container == (case.target if is_out else case.source)
                    and (kind == 'video' or outcome.video == 'kept')
                }
                told = sorted(_SIGNS[f] for f in found if f != 'no such file')
                row.append('/'.join(told) or ' ')
            print(f'| {codec} |', ' | '.join(row), '|')
    print()


if __name__ == '__main__':
    main()
