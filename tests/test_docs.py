# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The documentation: its links, its commands, and what its pages run."""

import argparse
import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from helpers.clips import moving_clip
from helpers.tool_process import CHECKOUT
from helpers.videos import write_movie

from s2svr_mm.checkpoints.shipped import SCHEME, bundled_model, weights_file
from s2svr_mm.training.config import load_config

PAGES = {
    str(path.relative_to(CHECKOUT)): path.read_text(encoding='utf-8')
    for path in (
        *sorted(CHECKOUT.glob('*.md')),
        *sorted((CHECKOUT / 'docs').glob('*.md')),
        CHECKOUT / 's2svr_mm' / 'weights' / 'README.md',
    )
}
_FENCE = re.compile(
    r'^(?:<!-- parsed only: (?P<reason>[^>]+) -->\n)?'
    r'```(?P<language>bash|python)\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
# Programs that pages may name; the command lines of the foreign ones are not checked.
_OURS = ('s2svr', 'python', 'make', 'bash')
_FOREIGN = ('cat', 'mim', 'pip', 'ffmpeg', 'vspipe')


class Block(NamedTuple):
    """A fenced block; ``reason`` says why it is parsed and not run."""

    language: str
    code: str
    reason: str | None


def blocks_of(page: str) -> list[Block]:
    return [Block(m['language'], m['code'], m['reason']) for m in _FENCE.finditer(PAGES[page])]


def anchors_of(page: str) -> set[str]:
    """Anchors of the headings of a page and of what it includes, as GitHub and MyST make them."""
    if included := re.match(r'```{include} \.\./(\S+)', PAGES[page]):
        return anchors_of(included[1])
    text = re.sub(r'^```.*?^```$', '', PAGES[page], flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).strip().replace(' ', '-') for title in titles}


def test_readme_is_short():
    assert len(PAGES['README.md'].splitlines()) <= 150


@pytest.mark.parametrize('page', PAGES)
def test_links(page):
    text = re.sub(r'^```.*?^```$|`[^`\n]*`', '', PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'https?:|mailto:', link):
            continue
        name, _, anchor = link.partition('#')
        target = (CHECKOUT / page).parent / name if name else CHECKOUT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(os.path.relpath(target.resolve(), CHECKOUT)), link


def test_architecture_points_at_what_there_is():
    """Files in the table of where to change what exist, and hold the names behind them."""
    table = PAGES['docs/architecture.md'].split('## Where to change what')[1].split('## ')[0]
    places = [row.split('|')[2] for row in table.splitlines() if row.startswith('| ')][1:]
    assert len(places) > 10
    for place in places:
        text = ''
        for code in re.findall(r'`([^`]+)`', place):
            if re.search(r'(\.py|\.toml|\.json|/)$', code):
                path = next(
                    p for p in (CHECKOUT / 's2svr_mm' / code, CHECKOUT / code) if p.exists()
                )
                text = path.read_text() if path.is_file() else ''
            elif text:
                name = re.split(r'[=(]', code)[0].split('.')[-1]
                assert name in text, f'{code} in {place}'


def commands_of(code: str, folder: Path) -> list[list[str]]:
    """The command lines of a block, as bash expands them; nothing of it is run."""
    folder.mkdir()
    log, stub = folder / 'log', folder / 'stub'
    stub.write_text(
        # In one piece, as the parts of a pipe write at once: a newline would be where bash cuts.
        f'#!/bin/bash\nprintf "%s\\0" "${{0##*/}}" "$@" $\'\\1\' >> {log}\n'
        'if [ "${0##*/}" = cat ]; then echo CHECKPOINT; fi\n'
    )
    stub.chmod(0o755)
    for name in (*_OURS, *_FOREIGN):
        (folder / name).symlink_to(stub)
    command = ['/bin/bash', '-eu', '-c', code]
    result = subprocess.run(command, env={'PATH': str(folder)}, capture_output=True, text=True)
    assert result.returncode == 0, f'{code}\n{result.stderr}'
    return [record.split('\0') for record in log.read_text().split('\0\1\0')[:-1]]


def parse(program: str, *words: str) -> argparse.Namespace | None:
    """Parse a command line of this project as the command does; None for other programs."""
    if program == 'make':
        assert re.search(rf'^{words[0]}:', (CHECKOUT / 'Makefile').read_text(), re.MULTILINE)
    if program == 'python' and words[0].startswith('tools/'):
        program, words = 's2svr', (Path(words[0]).stem, *words[1:])
    if program == 's2svr':
        command = importlib.import_module(f's2svr_mm.cli.{words[0].replace("-", "_")}')
        parser = argparse.ArgumentParser(prog=' '.join((program, words[0])))
        command.add_arguments(parser)
        return parser.parse_args(words[1:])
    if program == 'python' and words[0].endswith('.py'):
        with mock.patch.object(sys, 'argv', [*words]):
            return runpy.run_path(str(CHECKOUT / words[0]))['parse_args']()
    return None


@pytest.mark.parametrize('page', PAGES)
def test_commands_are_understood(page, tmp_path):
    """Each command knows its options, configs, their keys and the models that a page names."""
    blocks = [block.code for block in blocks_of(page) if block.language == 'bash']
    for number, code in enumerate(blocks):
        for words in commands_of(code, tmp_path / str(number)):
            args = parse(*words)
            for word in words:
                if re.fullmatch(r'configs/\S+\.py', word):
                    assert (CHECKOUT / word).is_file(), word
                if word.startswith(SCHEME):
                    assert weights_file(word), word
            if getattr(args, 'cfg_options', None):
                load_config(str(CHECKOUT / args.config), args.cfg_options)
            models = getattr(args, 'model', None) or []
            for model in [models] if isinstance(models, str) else models:
                if isinstance(model, str) or len(model) == 1:
                    bundled_model(model if isinstance(model, str) else model[0])


@pytest.fixture
def sandbox(tmp_path):
    """A folder with what the pages take for granted, and ``s2svr`` and ``python`` in the PATH."""
    for name in ('configs', 'tools', 'dev', 'benchmarks'):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    write_movie(tmp_path / 'in.mp4', moving_clip(8, 48, 64), sound=True)
    commands = tmp_path / 'bin'
    commands.mkdir()
    # A link to the interpreter would leave the virtual environment.
    for name, arguments in (('python', ''), ('s2svr', '-m s2svr_mm.cli ')):
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments}"$@"\n')
        command.chmod(0o755)
    return tmp_path


# What a page needs beside the sandbox, and what its Python blocks take as given.
def own_videos(folder: Path) -> None:
    (folder / 'my_videos').mkdir()
    for seed, name in enumerate(('holiday', 'park')):
        write_movie(folder / 'my_videos' / f'{name}.mp4', moving_clip(9, 96, 128, seed=seed))


def own_pairs(folder: Path) -> None:
    for name, shape in (('lq', (24, 32)), ('gt', (96, 128))):
        clips = folder / 'data' / 'clips' / 'train' / name
        clips.mkdir(parents=True)
        write_movie(clips / 'walk.mp4', moving_clip(9, *shape))


def own_checkpoint(folder: Path) -> None:
    import torch

    import s2svr_mm

    torch.save({'state_dict': s2svr_mm.load_model('s2svr_s_x4').state_dict()}, folder / 's2svr.pth')


NEEDS = {
    'docs/compare.md': own_videos,
    'docs/data.md': own_pairs,
    'docs/restore.md': own_checkpoint,
    'docs/train.md': own_videos,
}
GIVEN = {'README.md': 'import numpy as np\nframes = [np.zeros((48, 64, 3), np.uint8)] * 3\n'}


@pytest.mark.slow
@pytest.mark.parametrize(
    'page', [page for page in PAGES if any(block.reason is None for block in blocks_of(page))]
)
def test_page_runs(page, sandbox):
    """Every block of a page that gives no reason against it runs, in order, in one folder."""
    NEEDS.get(page, lambda folder: None)(sandbox)
    env = {
        **os.environ,
        'PATH': f'{sandbox / "bin"}:{os.environ["PATH"]}',
        'PYTHONPATH': str(CHECKOUT),
        'OMP_NUM_THREADS': '2',
    }
    for block in blocks_of(page):
        if block.reason is not None:
            continue
        if block.language == 'bash':
            command = ['bash', '-euo', 'pipefail', '-c', block.code]
        else:
            command = [sys.executable, '-c', GIVEN.get(page, '') + block.code]
        result = subprocess.run(command, cwd=sandbox, env=env, capture_output=True, text=True)
        assert result.returncode == 0, (
            f'{block.code}\n{result.stdout[-2000:]}{result.stderr[-4000:]}'
        )
