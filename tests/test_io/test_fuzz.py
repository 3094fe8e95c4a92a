# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Videos damaged at random end in a message or a video, never in a crash, a hang or a false claim.

What the seeds found has tests of its own beside what was mended: streams that were asked after
their file was closed (``test_media.py``), times of frames behind a picture that can't be decoded.
"""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.fuzzing import CLIPS, FRAMES, MUTATIONS, case_of, decodable, try_seed, write_clip

TESTS = Path(__file__).resolve().parents[1]
SEEDS = 300
# One of each ending, and each mutation; those that found something are among them.
QUICK = [0, 11, 25, 36, 58, 62, 79, 84, 93, 242, 264, 267]


@pytest.mark.parametrize('seed', QUICK)
def test_a_few_damaged_videos(tmp_path, seed):
    outcome = try_seed(seed, tmp_path)
    assert not outcome.fault, outcome


def test_the_few_are_of_all_kinds():
    cases = [case_of(seed) for seed in QUICK]
    assert {case.clip for case in cases} == set(CLIPS)
    assert {case.mutation for case in cases} == set(MUTATIONS)


@pytest.mark.parametrize('suffix', CLIPS)
def test_undamaged_they_are_whole(tmp_path, suffix):
    path = write_clip(suffix, tmp_path)
    assert decodable(path) == FRAMES
    assert path.read_bytes() == write_clip(suffix, tmp_path).read_bytes()


@pytest.mark.slow
def test_many_damaged_videos():
    processes = min(os.cpu_count() or 1, 4)
    bounds = [SEEDS * i // processes for i in range(processes + 1)]
    command = [sys.executable, '-m', 'helpers.fuzzing']
    running = [
        subprocess.Popen([*command, str(a), str(b)], cwd=TESTS, stdout=subprocess.PIPE, text=True)
        for a, b in pairwise(bounds)
    ]
    outcomes = [json.loads(line) for p in running for line in p.communicate()[0].splitlines()]
    assert len(outcomes) == SEEDS
    assert not [outcome for outcome in outcomes if outcome['fault']]
