# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.outputs import rewrite
from helpers.videos import packets_of, write_movie

from s2svr_mm.errors import EncodingError
from s2svr_mm.io import muxing
from s2svr_mm.io.muxing import decoding_times


def tone_movie(path, frames=25, start=0.0, heard=(0.4, 0.6), codec='aac', rate=16000):
    """Frames of 40 ms and sound that is silent but for a tone between two times."""
    with av.open(str(path), 'w') as container:
        video = container.add_stream('libx264', rate=25, options={'bf': '2'})
        video.width = video.height = 32
        audio = container.add_stream(codec, rate=rate, layout='mono')
        late = round(25 * start)
        for i, rgb in enumerate(moving_clip(frames, 32, 32)):
            picture = av.VideoFrame.from_ndarray(rgb, format='rgb24')
            picture.pts, picture.time_base = i + late, Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        times = np.arange(round(rate * frames / 25)) / rate
        wave = np.where((heard[0] <= times) & (times < heard[1]), np.sin(times * 4000) * 20000, 0)
        for first in range(0, len(wave), 400):
            samples = wave[None, first : first + 400].astype(np.int16)
            sound = av.AudioFrame.from_ndarray(samples, 's16', 'mono')
            sound.sample_rate, sound.time_base = rate, Fraction(1, rate)
            sound.pts = round(rate * late / 25) + first
            container.mux(audio.encode(sound))
        container.mux(audio.encode())
    return path


def heard(path):
    """When the tones start and end, seconds after the first frame."""
    first = frame_times(path)[0]
    loud = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(float))[0]
            samples /= 1 if frame.format.name.startswith('flt') else 32768
            loud += list(frame.time - first + np.flatnonzero(samples > 0.2) / frame.sample_rate)
    edges = np.flatnonzero(np.diff(loud) > 0.1)
    return [
        loud[0],
        *np.stack([np.array(loud)[edges], np.array(loud)[edges + 1]], 1).flat,
        loud[-1],
    ]


def frame_times(path):
    """Of the packets; AVI has times of decoding alone, and those of showing are guessed."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size and not p.is_discard]
        stamps = [p.dts if path.suffix == '.avi' else p.pts for p in packets]
        return sorted(float(t * p.time_base) for t, p in zip(stamps, packets, strict=True))


def shifted(source, path, seconds):
    """All packets of a file, earlier or later."""
    with av.open(str(source)) as old, av.open(str(path), 'w') as new:
        copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                ticks = round(Fraction(seconds) / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    return path


CONTAINERS = ['mp4', 'mov', 'mkv', 'avi', 'ts', 'flv', 'nut', 'webm']


@pytest.mark.parametrize('suffix', CONTAINERS)
def test_starts_at_zero_and_keeps_sound_in_step_in_every_container(tmp_path, suffix):
    source = tone_movie(tmp_path / 'in.ts', start=30000)
    out = tmp_path / f'out.{suffix}'
    rewrite(source, out)
    times = frame_times(out)
    # B-frames delay all in some; the sound starts a packet earlier.
    assert 0 <= times[0] < 0.17
    assert np.allclose([b - a for a, b in pairwise(times)], 0.04, atol=0.0011)
    assert np.allclose(heard(out), [0.4, 0.6], atol=0.03 if suffix == 'avi' else 0.02)


def test_joined_recordings(tmp_path):
    """Each sound stays with its picture, whether it is copied or converted."""
    joined = tmp_path / 'joined.ts'
    starts = [(0, 'aac'), (500, 'aac'), (20, 'aac')]
    joined.write_bytes(
        b''.join(
            tone_movie(tmp_path / f'{i}.ts', start=start, codec=codec).read_bytes()
            for i, (start, codec) in enumerate(starts)
        )
    )
    expected = [0.4, 0.6, 1.4, 1.6, 2.4, 2.6]
    for suffix in ('mp4', 'mkv', 'webm'):
        out = tmp_path / f'out.{suffix}'
        rewrite(joined, out)
        times = frame_times(out)
        assert len(times) == 75
        assert np.allclose([b - a for a, b in pairwise(times)], 0.04, atol=0.0011)
        assert np.allclose(heard(out), expected, atol=0.03)


def test_many_short_recordings(tmp_path):
    """No sound is lost where each is shorter than the tolerance of clocks."""
    short = tone_movie(tmp_path / 'short.ts', frames=6, heard=(0.08, 0.16)).read_bytes()
    (tmp_path / 'joined.ts').write_bytes(short * 5)
    notes = rewrite(tmp_path / 'joined.ts', tmp_path / 'out.mkv')
    assert notes == []
    starts = heard(tmp_path / 'out.mkv')[::2]
    assert np.allclose(starts, 0.08 + 0.24 * np.arange(5), atol=0.07)


@pytest.mark.parametrize('suffix', ['mkv', 'mp4', 'ts', 'avi'])
def test_what_an_edit_list_hides_stays_hidden(tmp_path, suffix):
    """An MP4 that was trimmed without encoding keeps packets that nobody sees or hears."""
    whole = tone_movie(tmp_path / 'whole.mp4', frames=50, heard=(0.1, 0.3))
    trimmed = shifted(whole, tmp_path / 'trimmed.mp4', -1)
    assert len(frame_times(trimmed)) > 20
    out = tmp_path / f'out.{suffix}'
    rewrite(trimmed, out)
    with av.open(str(out)) as container:
        samples = [np.abs(f.to_ndarray().astype(float)).max() for f in container.decode(audio=0)]
        assert max(samples) < 0.01
        assert abs(len(samples) * 1024 / 16000 - 1) < 0.2 or suffix == 'avi'
    assert len(frame_times(out)) == len(frame_times(trimmed))


def test_sound_that_starts_late_or_pauses_stays_in_step(tmp_path):
    """Also where a container knows no times of sound (AVI)."""
    whole = tone_movie(tmp_path / 'whole.mkv', frames=50, heard=(1.4, 1.6), codec='pcm_s16le')
    sources = {'late': (0.5, 3), 'pause': (0.2, 0.7), 'early': None}
    for name, dropped in sources.items():
        source = tmp_path / f'{name}.mkv'
        with av.open(str(whole)) as old, av.open(str(source), 'w') as new:
            copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
            for packet in old.demux():
                if not packet.size:
                    continue
                if packet.stream.type == 'audio':
                    gone = dropped and (
                        packet.pts * packet.time_base < dropped[0]
                        if name == 'late'
                        else dropped[0] <= packet.pts * packet.time_base < dropped[1]
                    )
                    if gone:
                        continue
                elif name == 'early':
                    packet.pts += 200
                    packet.dts = None if packet.dts is None else packet.dts + 200
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
        wanted = [1.2, 1.4] if name == 'early' else [1.4, 1.6]
        for suffix in ('avi', 'mp4', 'mkv'):
            out = tmp_path / f'{name}.out.{suffix}'
            rewrite(source, out)
            assert np.allclose(heard(out), wanted, atol=0.03), (name, suffix)


def test_converted_sound_is_the_same_sound(tmp_path):
    """Without loss where the container has a codec for that."""
    source = tone_movie(tmp_path / 'in.nut', codec='pcm_mulaw', rate=8000)

    def samples(path):
        with av.open(str(path)) as container:
            return np.concatenate(
                [f.to_ndarray().reshape(-1) for f in container.decode(audio=0)]
            ).astype(float)

    notes = rewrite(source, tmp_path / 'out.mkv')
    assert notes == ['stream 1 (audio, pcm_mulaw) is converted: flac']
    assert np.array_equal(samples(tmp_path / 'out.mkv'), samples(source))
    for suffix in ('mp4', 'webm', 'ts'):
        rewrite(source, tmp_path / f'out.{suffix}')
        assert np.allclose(heard(tmp_path / f'out.{suffix}'), [0.4, 0.6], atol=0.02)


def test_text_subtitles_are_converted(tmp_path):
    clip = moving_clip(25, 32, 32)
    source = write_movie(tmp_path / 'in.mkv', clip, sound=True, subtitles=True)
    notes = rewrite(source, tmp_path / 'out.mp4')
    assert notes == ['stream 2 (subtitle, subrip) is converted: mov_text']
    expected = packets_of(source, 'subtitle')
    shown = [(t, d[2:]) for t, d in packets_of(tmp_path / 'out.mp4', 'subtitle') if len(d) > 2]
    late = frame_times(tmp_path / 'out.mp4')[0] - frame_times(source)[0]
    assert [text for _, text in shown] == [text for _, text in expected]
    assert np.allclose([t - late for t, _ in shown], [t for t, _ in expected], atol=0.002)
    # And back, of a part: what is shown at its start is shown from there.
    rewrite(tmp_path / 'out.mp4', tmp_path / 'back.mkv', frames=(7, 16))
    text = packets_of(tmp_path / 'back.mkv', 'subtitle')
    assert [line for _, line in text] == [b'line 1', b'line 2', b'line 3']
    assert np.allclose([t for t, _ in text], [0, 0.12, 0.32], atol=0.002)


def with_chapters(source, path):
    with av.open(str(source)) as old, av.open(str(path), 'w') as new:
        new.set_chapters(
            [
                {
                    'id': i,
                    'start': a,
                    'end': b,
                    'time_base': Fraction(1, 1000),
                    'metadata': {'title': t},
                }
                for i, (a, b, t) in enumerate([(0, 400, 'one'), (400, 1000, 'two')])
            ]
        )
        copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    return path


def chapters_of(path):
    with av.open(str(path)) as container:
        return [
            (
                float(c['start'] * c['time_base']),
                float(c['end'] * c['time_base']),
                c['metadata']['title'],
            )
            for c in container.chapters()
        ]


def test_chapters_are_kept_or_named(tmp_path):
    plain = write_movie(tmp_path / 'plain.mp4', moving_clip(25, 32, 32))
    source = with_chapters(plain, tmp_path / 'in.mp4')
    assert rewrite(source, tmp_path / 'out.mkv') == []
    assert chapters_of(tmp_path / 'out.mkv') == [(0, 0.4, 'one'), (0.4, 1, 'two')]
    assert rewrite(source, tmp_path / 'part.mp4', frames=(5, 20)) == []
    assert chapters_of(tmp_path / 'part.mp4') == [(0, 0.2, 'one'), (0.2, 0.6, 'two')]
    assert rewrite(source, tmp_path / 'late.mkv', frames=(15, None)) == []
    assert chapters_of(tmp_path / 'late.mkv') == [(0, 0.4, 'two')]
    assert rewrite(source, tmp_path / 'out.ts') == ['not in the output: chapters']


def test_tags_of_the_source_that_are_no_longer_true_are_dropped(tmp_path):
    source = tmp_path / 'in.mkv'
    with av.open(str(source), 'w') as container:
        container.metadata.update(title='a walk', encoder='someone')
        video = container.add_stream('libx264', rate=25)
        video.width = video.height = 32
        video.metadata.update(
            language='deu', ROTATE='90', BPS='123', DURATION='00:00:09', timecode='01:00:00:00'
        )
        for i, rgb in enumerate(moving_clip(8, 32, 32)):
            frame = av.VideoFrame.from_ndarray(rgb, format='rgb24')
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    assert rewrite(source, tmp_path / 'out.mkv') == []
    with av.open(str(tmp_path / 'out.mkv')) as container:
        tags = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
        assert container.metadata['title'] == 'a walk'
        assert 'Lavf' in container.metadata['ENCODER']
    assert tags['language'], tags['timecode'] == ('deu', '01:00:00:00')
    assert not {'rotate', 'bps'} & set(tags)
    assert not tags.get('duration', '').startswith('00:00:09')
    notes = rewrite(source, tmp_path / 'part.mkv', frames=(2, None))
    assert len(notes) == 1
    assert 'time code' in notes[0]


def test_what_is_written_is_looked_at_again(tmp_path, monkeypatch):
    """A frame that goes missing on the way is found out."""
    source = tone_movie(tmp_path / 'in.mkv')
    real = muxing.Muxer._video_packets

    def lossy(self, records, times, end):
        return (p for i, p in enumerate(real(self, records, times, end)) if i != 11)

    monkeypatch.setattr(muxing.Muxer, '_video_packets', lossy)
    with pytest.raises(EncodingError, match=r'out\.mkv, opened again.*24 frames instead of 25'):
        rewrite(source, tmp_path / 'out.mkv')


def test_decoding_times_rise_and_never_come_late():
    shown = [0, 90, 30, 10, 80, 190, 160, 110, 170, 1000, 600, 400]
    times = decoding_times(shown)
    assert all(b > a for a, b in pairwise(times))
    assert all(decoded <= pts for decoded, pts in zip(times, shown, strict=True))
    assert decoding_times([5, 6, 9]) == [5, 6, 9]
