# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.videos import write_movie

from s2svr_mm.io.copied_times import copied_times
from s2svr_mm.io.packet_log import read_timeline
from s2svr_mm.io.timeline import Run, Stamp, Timeline, timeline_of

MS = Fraction(1, 1000)
# Two groups of pictures with B-frames, 40 ms a frame, in the order of decoding.
PTS = [0, 120, 40, 80, 240, 160, 200, 280]
DTS = [-40, 0, 40, 80, 120, 160, 200, 240]
EVEN = [40 * i for i in range(8)]


def stamps(pts=PTS, dts=DTS, by=0):
    return [
        Stamp(p if p is None else p + by, d if d is None else d + by, position=i)
        for i, (p, d) in enumerate(zip(pts, dts, strict=True))
    ]


@pytest.mark.parametrize('by', [0, 30_000_000, -90_000, 2**40])
def test_times_start_at_zero_and_are_in_the_order_of_showing(by):
    timeline = timeline_of(stamps(by=by), MS, 40)
    assert timeline.times == EVEN
    assert timeline.end == 320
    assert not timeline.notes


def test_uneven_durations_stay():
    times = [0, 40, 60, 130, 5000, 65000]
    timeline = timeline_of(stamps(times, times), MS, 40)
    assert timeline.times == times
    assert not timeline.is_even(timeline.rate(Fraction(25)))


@pytest.mark.parametrize('by', [-700, -100_000, 2**33])
def test_a_clock_that_is_set_anew_goes_on(by):
    timeline = timeline_of(stamps() + stamps(by=by), MS, 40, lambda start, stop: True)
    assert timeline.times == [40 * i for i in range(16)]
    assert [(run.first, run.low, run.start) for run in timeline.runs] == [(0, 0, 0), (8, by, 320)]
    assert 'at frame 8' in timeline.notes[0]


def test_a_frame_may_be_shown_for_long():
    """Unless the file's clock may leap, and nothing is heard meanwhile."""
    for is_jump in (None, lambda start, stop: False):
        # Frames of after the pause may be decoded before it.
        long, decoded = [t + 100_000 * (t >= 120) for t in PTS], list(DTS)
        decoded[4:] = [t + 100_000 for t in DTS[4:]]
        assert timeline_of(stamps(long, decoded), MS, 40, is_jump).times == sorted(long)
        timeline = timeline_of(stamps() + stamps(by=100_000), MS, 40, is_jump)
        assert timeline.times == EVEN + [100_000 + t for t in EVEN]


def test_slides_are_no_jumps():
    slides = [t * 500 for t in EVEN]
    timeline = timeline_of(stamps(slides, slides), MS, 20_000, lambda start, stop: True)
    assert timeline.times == slides


@pytest.mark.parametrize('wrong', [-5000, 10**9])
def test_one_wrong_stamp_is_no_jump(wrong):
    pts, dts = list(PTS), list(DTS)
    pts[3], dts[3] = wrong, wrong
    assert timeline_of(stamps(pts, dts), MS, 40).times == EVEN
    pts, dts = list(PTS), list(DTS)
    pts[3] = 10**9
    assert timeline_of(stamps(pts, dts), MS, 40).times == EVEN


def test_missing_and_doubled_times_are_filled_in():
    none = [None] * 8
    assert timeline_of(stamps(none, none), MS, 40).times == EVEN
    # Only keyframes have times.
    some = [0, *none[:3], 160, *none[:3]]
    assert timeline_of(stamps(some, none), MS, 40).times == EVEN
    doubled = [0, 40, 40, 120, 160, 200, 240, 280]
    assert timeline_of(stamps(doubled, none), MS, 40).times == EVEN
    # Only the times of showing are known, or those of decoding but for the first ones (Matroska).
    assert timeline_of(stamps(dts=none), MS, 40).times == EVEN
    assert timeline_of(stamps(dts=[None, None, *DTS[2:]]), MS, 40).times == EVEN
    # Without times of showing (AVI), those of decoding do.
    assert timeline_of(stamps(none, DTS), MS, 40).times == EVEN


@pytest.mark.parametrize('rate', [Fraction(30000, 1001), 24, 25, Fraction(7, 2), 60])
@pytest.mark.parametrize('hint', [25, 1000])
def test_frame_rate_is_found_behind_rounding(rate, hint):
    times = [round(1000 * i / rate) for i in range(100)]
    timeline = timeline_of(stamps(times, times), MS, 40)
    assert timeline.rate(Fraction(hint)) == pytest.approx(rate, 1e-3)
    assert timeline.is_even(timeline.rate(Fraction(hint)))
    # Dropped frames leave the rate as it is.
    holes = [time for i, time in enumerate(times) if i % 9]
    timeline = timeline_of(stamps(holes, holes), MS, 40)
    assert timeline.rate(Fraction(hint)) == pytest.approx(rate, 1e-3)
    assert not timeline.is_even(timeline.rate(Fraction(hint)))


TWO = Timeline(MS, [], 2000, [Run(0, 0, 5000, 0, 1000), Run(25, 100, 0, 1000, 2000)])


def sound(*times, position=0):
    return [Stamp(t, t, 20, position) for t in times]


def test_short_frames_whose_step_is_rounded_by_more_than_a_tenth():
    times = [0, 3, 7, 10, 13, 17, 20]
    timeline = timeline_of(stamps(times, times), MS, 3)
    assert timeline.rate(Fraction(300)) == 300
    assert timeline.is_even(Fraction(300))


def test_sound_follows_jumps_where_its_own_clock_jumps():
    first, second = range(4990, 5990, 20), range(-10, 990, 20)
    for late in (0, 5):
        # The first packets of the second clock come before the video's, or the last of the first
        # one after.
        packets = sound(*first[: 50 - late]) + sound(*first[50 - late :], position=100)
        packets += sound(*second[:3], position=99 + late) + sound(*second[3:], position=100)
        assert copied_times(packets, MS, TWO, continuous=True) == list(range(-10, 1990, 20))


def test_sound_that_jumps_alone_goes_on():
    one = Timeline(MS, [], 2000, [Run(0, 0, 0, 0, 2000)])
    jumps = [*range(0, 200, 20), *range(90_000, 90_200, 20)]
    assert copied_times(sound(*jumps), MS, one, True) == list(range(0, 400, 20))
    falls = [*range(0, 800, 20), *range(0, 200, 20)]
    assert copied_times(sound(*falls), MS, one, True) == list(range(0, 1000, 20))
    silence = [0, 20, 1500, 1520]
    assert copied_times(sound(*silence), MS, one, True) == silence
    wrong = [0, 20, 40, 1900, 80, 100]
    assert copied_times(sound(*wrong), MS, one, True) == [0, 20, 40, 60, 80, 100]
    assert copied_times([Stamp(None, None, 20)] * 3, MS, one, True) == [0, 20, 40]


def test_subtitles_belong_to_the_clock_of_their_place():
    lines = sound(5100, 5600, position=50) + sound(100, 700, position=150)
    assert copied_times(lines, MS, TWO, continuous=False) == [100, 600, 1100, 1700]
    late = sound(5900, position=120)
    assert copied_times(late, MS, TWO, continuous=False) == [900]


def joined(folder, *starts):
    """Recordings one after the other, each with its own clock, as one file."""
    data = b''
    for number, start in enumerate(starts):
        path = folder / f'{number}.ts'
        write_movie(path, moving_clip(25, 16, 16, seed=number), sound=True, options={'bf': '2'})
        data += shifted(path, folder / f'{number}_shifted.ts', start).read_bytes()
    (folder / 'joined.ts').write_bytes(data)
    return folder / 'joined.ts'


def shifted(source, path, seconds):
    with av.open(str(source)) as old, av.open(str(path), 'w') as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                ticks = round(Fraction(seconds) / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    return path


@pytest.mark.parametrize(
    'starts', [(0,), (30000,), (0, 0), (0, 30000), (30000, 0), (2**33 / 90000 - 0.5,), (9, 5, 2000)]
)
def test_recordings_one_after_the_other(tmp_path, starts):
    timeline = read_timeline(str(joined(tmp_path, *starts)))
    seconds = [float(time * timeline.base) for time in timeline.times]
    assert np.allclose(seconds, np.arange(25 * len(starts)) / 25, atol=1e-4)
    assert timeline.rate(Fraction(25)) == 25
    assert timeline.is_even(Fraction(25))
    assert len(timeline.notes) == (len(starts) > 1)
    # As far from its picture as in each recording by itself.
    alone = read_timeline(str(tmp_path / '0.ts'))
    expected = np.concatenate([np.array(alone.copied[1]) / 9e4 + i for i in range(len(starts))])
    assert np.allclose(np.array(timeline.copied[1]) / 9e4, expected, atol=1e-4)
    assert timeline.lead == alone.lead


def test_what_can_be_read_of_a_damaged_file_has_times(tmp_path):
    path = write_movie(tmp_path / 'in.mkv', moving_clip(25, 16, 16), sound=True)
    path.write_bytes(path.read_bytes()[: os.path.getsize(path) * 2 // 3])
    timeline = read_timeline(str(path))
    assert 3 < len(timeline.times) < 25
    assert {b - a for a, b in pairwise(timeline.times)} == {40}
    assert timeline.time(30) == 1200
