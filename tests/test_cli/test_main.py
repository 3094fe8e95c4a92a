# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json
import os
import subprocess
import sys

import pytest
from helpers.tool_process import CHECKOUT

from s2svr_mm.checkpoints.shipped import bundled_models
from s2svr_mm.cli import COMMANDS, main
from s2svr_mm.cli.arguments import (
    frame_range,
    frame_rate,
    frame_size,
    memory_size,
    number,
    whole_number,
)
from s2svr_mm.datasets.preparation import RECIPES

# Answers with what a run has printed and which heavy packages it has imported.
PROBE = """
import contextlib, io, json, sys
sys.argv = {argv!r}
text, status = io.StringIO(), 0
with contextlib.redirect_stdout(text):
    try:
        {start}
    except SystemExit as end:
        status = end.code
heavy = {{'torch', 'mmcv', 'mmagic', 'av'}} & sys.modules.keys()
print(json.dumps([text.getvalue(), status, sorted(heavy)]))
"""
SHIM = 'import runpy; runpy.run_path({path!r}, run_name="__main__")'
LAUNCHER = 'import s2svr_launcher; s2svr_launcher.main()'


def probe(start, *arguments):
    script = PROBE.format(argv=['s2svr', *arguments], start=start)
    # Where each runs, no other checkout or installed package comes first.
    env = {**os.environ, 'PYTHONPATH': str(CHECKOUT), 'COLUMNS': '80'}
    output = subprocess.check_output([sys.executable, '-c', script], text=True, env=env)
    return json.loads(output)


def test_help_fits_a_screen_and_imports_nothing_heavy():
    text, status, heavy = probe(LAUNCHER, '--help')
    assert (status, heavy) == (0, [])
    assert len(text.splitlines()) <= 24
    for command in COMMANDS:
        assert f'\n    {command}' in text


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_each_command_imports_nothing_heavy(command):
    text, status, heavy = probe(LAUNCHER, command, '--help')
    assert text.startswith(f'usage: s2svr {command} [-h]')
    assert '--debug' in text
    assert (status, heavy) == (0, [])


@pytest.mark.parametrize('tool', sorted(path.stem for path in (CHECKOUT / 'tools').glob('*.py')))
def test_tools_are_the_commands(tool):
    start = SHIM.format(path=str(CHECKOUT / 'tools' / f'{tool}.py'))
    text, status, heavy = probe(start, '--help')
    assert text.startswith(f'usage: s2svr {tool.replace("_", "-")} [-h]')
    assert (status, heavy) == (0, [])


def test_restore_lists_the_bundled_models():
    text, *_ = probe(LAUNCHER, 'restore', '--help')
    for model in bundled_models().values():
        assert f'  {model.name} ' in text
        assert f'{model.about}; scale {model.scale}, smallest frame 1x1' in text
    assert '(default: s2svr_s_x2_video;' in text


def test_prepare_data_knows_the_recipes():
    text, *_ = probe(LAUNCHER, 'prepare-data', '--help')
    for name, recipe in RECIPES.items():
        assert f'\n    {name} ' in text
        assert recipe.title[:20] in text


def test_models(capsys):
    assert main(['models']) == 0
    text = capsys.readouterr().out
    for name, model in bundled_models().items():
        for part in (name, model.task, model.data, model.licence, f's2svr://{name}'):
            assert part in text
    assert 'Vid4, bicubic x4, Y: PSNR 25.71 dB' in text
    assert main(['models', 's2svr_s_x4', '--json']) == 0
    assert json.loads(capsys.readouterr().out)[0]['scale'] == 4
    with pytest.raises(SystemExit) as end:
        main(['models', 's2svr_s_x8'])
    assert end.value.code == 1
    assert 'Did you mean s2svr_s_x4' in capsys.readouterr().err


def test_doctor_works_on_a_broken_stack(tmp_path):
    (tmp_path / 'torch.py').write_text('raise SystemExit("torch was imported")')
    (tmp_path / 'a.mp4').touch()
    folder = tmp_path / 'numpy-2.1.3.dist-info'
    folder.mkdir()
    (folder / 'METADATA').write_text('Metadata-Version: 2.1\nName: numpy\nVersion: 2.1.3\n')
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, (tmp_path, CHECKOUT)))}
    for command, status, message in (
        ('doctor', 1, 'fixed: numpy'),
        ('restore a.mp4 b.mp4', 1, "error: the installed packages do not work together ('s2svr"),
    ):
        done = subprocess.run(
            [sys.executable, '-m', 's2svr_launcher', *command.split()],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        assert message in done.stdout + done.stderr
        assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    ('parse', 'right', 'wrong'),
    [
        (
            whole_number(1),
            {'1': 1, '48': 48, '+7': 7},
            ['0', '-5', '²', '٣', '1_0', '1.5', 'ten', '', '9' * 12, '9' * 5000],
        ),
        (number(0, 51), {'0': 0, '18.5': 18.5}, ['-1', '52', 'nan', 'inf', '²', '1e999', '']),
        (
            frame_range,
            {'10:50': (10, 50), ':5': (0, 5), '3:': (3, None), ':': (0, None)},
            ['5', '5:2', '5:5', ':0', '-1:3', '²:', 'a:b', f'{"9" * 30}:'],
        ),
        (frame_size, {'352x288': (352, 288)}, ['352', '0x5', '-3x4', '²x2', '1x999999', 'axb']),
        (
            frame_rate,
            {'25': 25, '30000/1001': 30000 / 1001, '23.976': 23.976},
            ['0', '-1', '1/0', '0/1', 'nan', 'inf', '²', '1e400', '9' * 9],
        ),
        (
            memory_size,
            {'6G': 6 * 2**30, '800M': 800 * 2**20, '1.5gb': 1.5 * 2**30},
            ['0G', '-1G', '6', '²G', '9999999999G', 'G', '0.0M'],
        ),
    ],
    ids=['whole', 'number', 'frames', 'size', 'rate', 'memory'],
)
def test_values(parse, right, wrong):
    from argparse import ArgumentTypeError

    for text, value in right.items():
        assert parse(text) == pytest.approx(value)
    for text in wrong:
        with pytest.raises(ArgumentTypeError, match='is n') as error:
            parse(text)
        assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ('restore a.mp4 b.mp4 --segment 0', "--segment: '0' is not a whole number from 1"),
        ('restore a.mp4 b.mp4 --segment -5', "--segment: '-5' is not a whole number from 1"),
        ('restore a.mp4 b.mp4 --window ²', "--window: '²' is not a whole number from 1"),
        ('restore a.mp4 b.mp4 --crf nan', "--crf: 'nan' is not a number from 0"),
        ('compare --model a --video a b --out c --frames 0', "--frames: '0' is not"),
        ('train-details a.py --out b --iters -1', "--iters: '-1' is not a whole number from 1"),
        ('prepare-data clips --src a --dst b --workers 0', "--workers: '0' is not"),
        ('restor a.mp4 b.mp4', "invalid choice: 'restor'"),
    ],
)
def test_absurd_numbers_are_one_message(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count('error: ') == 1


@pytest.mark.parametrize(
    ('arguments', 'messages'),
    [
        ('restore folder', ['give the output as well: s2svr restore folder DST']),
        ('restore a b --config c.py', ['--config and --checkpoint go together', 's2svr_s_x4']),
        ('restore a b --model c --config d.py', ['either --model, or --config']),
        ('compare --model a --out c', ['give clips to compare on']),
        ('compare --model a b --video v v --out c', ['NAME CONFIG CHECKPOINT or NAME, got a b']),
        ('compare --model a --clips v v --out c', ['--clips and --degrade go together']),
    ],
)
def test_what_does_not_go_together(arguments, messages, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    assert end.value.code == 1
    printed = capsys.readouterr().err
    for message in messages:
        assert message in printed
