# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import argparse
import os
import subprocess
import sys

import pytest
from helpers.clips import moving_clip
from helpers.restoring import content
from helpers.tool_process import CHECKOUT
from helpers.videos import write_movie

from s2svr_mm.cli import main
from s2svr_mm.cli.workers import Place, device_list, device_of, place_of, run_on, usable_cores
from s2svr_mm.errors import ConfigError

WINDOWS = ('--window', '6', '--overlap', '4', '--tile', '0', '--segment', '4', '--quiet')


def test_device_list():
    assert device_list('cuda:0,cuda:1') == ['cuda:0', 'cuda:1']
    assert device_list('2xcpu, cuda') == ['cpu', 'cpu', 'cuda']
    for wrong in ('', '0xcpu', 'cpu:', '2x', 'x2', 'cpu 2', '999xcpu', 'cpu,,cpu'):
        with pytest.raises(argparse.ArgumentTypeError, match=r'2xcpu|1 to 256'):
            device_list(wrong)


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='the system has no such limit')
def test_usable_cores():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usable_cores() == len(allowed)


def slurm_of_three_nodes(rank, local_rank, node):
    """What Slurm tells one of nine tasks on nodes of 4, 4 and 1."""
    return dict(
        SLURM_PROCID=str(rank),
        SLURM_NTASKS='9',
        SLURM_LOCALID=str(local_rank),
        SLURM_NODEID=str(node),
        SLURM_STEP_TASKS_PER_NODE='4(x2),1',
    )


@pytest.mark.parametrize(
    ('launcher', 'environment', 'expected'),
    [
        (
            'pytorch',
            # Inside a Slurm job, too.
            dict(RANK='3', WORLD_SIZE='4', LOCAL_RANK='1', LOCAL_WORLD_SIZE='2', SLURM_NODEID='1'),
            Place(3, 4, 1, 2),
        ),
        ('slurm', dict(SLURM_PROCID='1', SLURM_NTASKS='2'), Place(1, 2, 1, 1)),
        ('slurm', slurm_of_three_nodes(rank=5, local_rank=1, node=1), Place(5, 9, 1, 4)),
        ('slurm', slurm_of_three_nodes(rank=8, local_rank=0, node=2), Place(8, 9, 0, 1)),
        (
            'mpi',
            dict(
                OMPI_COMM_WORLD_RANK='1',
                OMPI_COMM_WORLD_SIZE='2',
                OMPI_COMM_WORLD_LOCAL_RANK='1',
                OMPI_COMM_WORLD_LOCAL_SIZE='2',
            ),
            Place(1, 2, 1, 2),
        ),
    ],
)
def test_launchers(monkeypatch, launcher, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert place_of(launcher) == expected


def test_not_started_by_the_launcher(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(ConfigError, match='torchrun --nproc-per-node 2'):
        place_of('pytorch')


def test_devices_of_processes(monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    assert [device_of(Place(n, 3, n, 3), 'auto') for n in range(3)] == [
        'cuda:0',
        'cuda:1',
        'cuda:0',
    ]
    assert device_of(Place(1, 3, 1, 3), 'cpu') == 'cpu'
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    assert device_of(Place(1, 3, 1, 3), 'auto') == 'cpu'


def fails_alone(args, place):
    """The first process dies, or all do."""
    if place.rank == 0 or args.all:
        raise ConfigError('no such thing')
    return args.status


@pytest.mark.slow
@pytest.mark.parametrize('status', [0, 3])
def test_one_that_fails_does_not_count_where_another_did_the_work(capsys, status):
    args = argparse.Namespace(debug=False, quiet=True, all=False, status=status)
    assert run_on(['cpu', 'cpu'], args, fails_alone) == status
    shown = capsys.readouterr()
    assert 'error (process 0, cpu): no such thing' in shown.err
    assert 'process 0 (cpu) failed with 1; the others did its work' in shown.out


def test_conflicts(capsys):
    for options in (['--launcher', 'pytorch'], ['--device', 'cpu']):
        with pytest.raises(SystemExit):
            main(['restore', 'in.mp4', 'out.mp4', '--devices', '2xcpu', *options])
        assert '--devices' in capsys.readouterr().err


@pytest.mark.slow
def test_devices_and_torchrun_make_what_one_process_makes(tmp_path):
    write_movie(tmp_path / 'in.mp4', moving_clip(24, 48, 64), sound=True)
    env = {**os.environ, 'PYTHONPATH': str(CHECKOUT), 'OMP_NUM_THREADS': '1'}
    module = ['-m', 's2svr_mm.cli', 'restore', 'in.mp4']
    torchrun = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '3']
    for command in (
        [*module, 'one.mp4', '--device', 'cpu'],
        [*module, 'two.mp4', '--devices', '2xcpu'],
        [*torchrun, *module, 'three.mp4', '--launcher', 'pytorch', '--device', 'cpu'],
    ):
        subprocess.run([sys.executable, *command, *WINDOWS], cwd=tmp_path, env=env, check=True)
    assert content(tmp_path / 'two.mp4') == content(tmp_path / 'one.mp4')
    assert content(tmp_path / 'three.mp4') == content(tmp_path / 'one.mp4')
    assert not list(tmp_path.glob('*.parts'))


@pytest.mark.slow
def test_a_folder_by_two_processes(tmp_path):
    (tmp_path / 'videos').mkdir()
    for seed, name in enumerate(('a.mp4', 'b.mkv')):
        write_movie(tmp_path / 'videos' / name, moving_clip(12, 48, 64, seed=seed))
    (tmp_path / 'videos' / 'bad.mp4').write_bytes(b'no video')
    env = {**os.environ, 'PYTHONPATH': str(CHECKOUT), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, '-m', 's2svr_mm.cli', 'restore', 'videos', 'restored', *WINDOWS]
    result = subprocess.run(
        [*command, '--devices', '2xcpu'], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert result.returncode == 1, result.stderr
    assert '| a.mp4 | a.mp4 | done | 12 |' in result.stdout
    assert 'failed: bad.mp4' in result.stdout
    result = subprocess.run(
        [*command, '--pattern', '[ab].*'], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('restored by an earlier call') == 2
