# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import csv
import json
import signal

import pytest
from helpers.browser import started
from helpers.comparison_models import write_basicvsr, write_model

from s2svr_mm.utils.files import WORK_FOLDER

QUICK = '--window', '8', '--tile', '0', '--device', 'cpu'
# Imported by a config, it makes the writing of a frame end in something else.
TRAP = """
import os
import signal
import s2svr_mm.comparison.comparison as comparison

write_png = comparison.write_png


def trapped(path, frame):
    write_png(path, frame)
    if path.name == '00000002.png' and 'second' in path.parent.name:
        {trap}


comparison.write_png = trapped
"""


@pytest.fixture
def set_trap(tmp_path, monkeypatch):
    """A function that has a statement run at the third frame of the network 'second'."""
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / 'second.py'

    def set_it(trap):
        (tmp_path / 'trap.py').write_text(TRAP.format(trap=trap))
        plain = config.read_text()
        config.write_text(plain.replace('imports=[', "imports=['trap', "))
        return lambda: config.write_text(plain)

    return set_it


@pytest.fixture
def models(tmp_path):
    """Arguments that name two networks, an S2SVR and a BasicVSR."""
    first, second = write_model(tmp_path, 'first'), write_basicvsr(tmp_path, 'second')
    return '--model', *first, '--model', *second


def contents(folder):
    """Everything below a folder but how long it took."""
    found = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix == '.png':
            found[path.relative_to(folder)] = path.read_bytes()
        elif path.name == 'result.json':
            result = json.loads(path.read_text())
            del result['result']['seconds']
            found[path.relative_to(folder)] = result
    return found


def test_compare(run_tool, models, clip_pairs, tmp_path):
    clips = clip_pairs(height=64, width=80)
    result = run_tool(
        *('compare', *models, *QUICK, '--pairs', 'Pairs', clips / 'lq', clips / 'gt'),
        *('--clips', 'Made', clips / 'gt' / '001', '--degrade', 'bi', '--frames', '3'),
        *('--video', 'Own', clips / 'lq' / '000', '--out', 'out', '--title', 'All of them'),
    )
    assert result.status == 0, result.output
    out = tmp_path / 'out'
    table = (out / 'table.md').read_text()
    assert table.strip() in result.output
    assert '45/45' in result.output
    assert 'Pairs/000: ' in result.output
    assert 'written: out/results.csv, out/table.md, out/report.html' in result.output
    assert [line for line in table.splitlines() if line.startswith('#')] == [
        '### Pairs',
        '### Made',
        '### Own',
    ]
    with open(out / 'results.csv') as file:
        rows = list(csv.DictReader(file))
    of_set = [row for row in rows if row['clip'] == row['frame'] == 'mean']
    assert [(row['set'], row['method']) for row in of_set] == [
        *(('Pairs', name) for name in ('ground truth', 'bicubic', 'first', 'second')),
        *(('Made', name) for name in ('ground truth', 'bicubic', 'first', 'second')),
        *(('Own', name) for name in ('bicubic', 'first', 'second')),
    ]
    # The pairs were made by the same degradation.
    same = [row for row in rows if row['clip'] == '001' and row['frame'] == '1']
    made = [row for row in rows if row['set'] == 'Made' and row['frame'] == '1']
    for a, b in zip(same, made, strict=True):
        assert a['psnr_y'] == b['psnr_y']
    assert 'All of them' in (out / 'report.html').read_text()
    assert not (out / WORK_FOLDER).exists()


def test_killed_run_goes_on(run_tool, models, set_trap, clip_pairs, tmp_path):
    clips = clip_pairs(names=['000', '001'], num_frames=4)
    args = ('compare', *models, *QUICK, '--pairs', 'set', clips / 'lq', clips / 'gt', '--quiet')
    remove_trap = set_trap('os.kill(os.getpid(), signal.SIGKILL)')
    killed = run_tool(*args, '--out', 'out')
    assert killed.status == -signal.SIGKILL, killed.output
    results = tmp_path / 'out' / 'results'
    whole = {path.parent.name for path in results.rglob('result.json')}
    assert whole == {'ground truth', 'bicubic', 'first'}
    assert list((tmp_path / 'out' / WORK_FOLDER).iterdir())
    before = {path: path.stat().st_mtime_ns for path in results.rglob('*.*')}

    remove_trap()
    resumed = run_tool(*args, '--out', 'out')
    assert resumed.status == 0, resumed.output
    assert before.items() <= {p: p.stat().st_mtime_ns for p in results.rglob('*.*')}.items()
    straight = run_tool(*args, '--out', 'straight')
    assert straight.status == 0, straight.output
    assert contents(results) == contents(tmp_path / 'straight' / 'results')
    assert not (tmp_path / 'out' / WORK_FOLDER).exists()


def test_scale_1(run_tool, clip_pairs, tmp_path):
    clips = clip_pairs(names=['000'], num_frames=3, scale=1)
    model = write_model(tmp_path, 'deblur', scale=1)
    result = run_tool(
        *('compare', '--model', *model, *QUICK, '--out', 'out'),
        *('--pairs', 'set', clips / 'lq' / '000', clips / 'gt' / '000'),
    )
    assert result.status == 0, result.output
    assert [line.split(' | ')[0] for line in (tmp_path / 'out/table.md').read_text().splitlines()][
        6:
    ] == ['| ground truth', '| input', '| deblur']


def test_each_degradation_is_a_set_of_its_own(run_tool, models, clip_pairs, tmp_path):
    gt = clip_pairs(names=['000'], num_frames=2, height=64, width=80) / 'gt'
    result = run_tool(
        *('compare', *models, *QUICK, '--clips', 'own', gt, '--degrade', 'bi', 'crf23'),
        *('--out', 'out'),
    )
    assert result.status == 0, result.output
    sets = {row['set'] for row in csv.DictReader((tmp_path / 'out/results.csv').open())}
    assert sets == {'own bi', 'own crf23'}


def test_bad_input_is_one_message(run_tool, models, clip_pairs, tmp_path):
    clips = clip_pairs(names=['000'], num_frames=3)
    lq, gt = clips / 'lq', clips / 'gt'
    two = write_model(tmp_path, 'two', scale=2)
    pairs = '--pairs', 'set', lq, gt
    (tmp_path / 'file').touch()
    for args, message in (
        ((*models,), 'give clips to compare on: --pairs, --clips or --video'),
        ((*models, '--clips', 'set', gt), '--clips and --degrade go together'),
        ((*models, '--clips', 'set', gt, '--degrade', 'fog'), "'fog' is unknown"),
        ((*models, '--clips', 'set', gt, '--degrade', 'blur'), 'at scale 1, but these restore'),
        ((*models, '--pairs', 'set', lq, tmp_path / 'none'), 'none. Give a folder of frames'),
        ((*models, '--pairs', 'set', gt, lq), 'the networks restore at scale 4'),
        ((*models, '--video', 'set', 'no.mp4'), 'there is no no.mp4'),
        ((*models, *pairs, '--video', 'set', lq), "'set' is given twice"),
        ((*models, '--model', *two, *pairs), 'different scales'),
        (('--model', 'a', two[1], *pairs), '--model takes NAME CONFIG CHECKPOINT or NAME, got a '),
        (('--model', 'nobody', '--video', 'set', 'no.mp4'), 'there is no no.mp4'),
        (('--model', 'nobody', *pairs), "no model 'nobody' is bundled with s2svr_mm"),
        (('--model', 'a', 'no.py', two[2], *pairs), 'there is no config no.py'),
        (('--model', 'a', two[1], 'no.pth', *pairs), 'there is no checkpoint at no.pth'),
        (('--model', 'a', two[1], models[3], *pairs), 'does not fit S2SVRNet'),
        ((*models, *pairs, '--frames', '0'), "--frames: '0' is not a whole number from 1"),
        ((*models, *pairs, '--out', 'file'), '--out file cannot be made'),
        ((*models, *pairs, '--window', '4', '--overlap', '4'), 'more than the overlap'),
    ):
        result = run_tool('compare', '--out', 'out', *QUICK[2:], *args)
        assert result.status in (1, 2), result.output
        assert message in result.output
        assert 'Traceback' not in result.output


def test_full_disk_is_one_message(run_tool, models, set_trap, clip_pairs, tmp_path):
    clips = clip_pairs(names=['000'], num_frames=3)
    set_trap("raise OSError(28, 'No space')")
    args = ('compare', *models, *QUICK, '--pairs', 'set', clips / 'lq', clips / 'gt')
    result = run_tool(*args, '--out', 'out')
    assert result.status == 1
    assert 'No space left for out' in result.output
    assert 'give the same command again' in result.output
    assert 'Traceback' not in result.output
    assert not list((tmp_path / 'out').rglob('second'))


STATE = """
const over = document.querySelector('#stage .over');
return {
  clip: getComputedStyle(over).clipPath,
  line: document.querySelector('#stage .line').style.left,
  value: Number(document.getElementById('slider').value),
  left: over.src,
  right: document.querySelector('#stage .under').src,
};
"""
ROWS = "return [...document.querySelectorAll('#sets tbody th')].map((head) => head.textContent)"


@pytest.mark.slow
@pytest.mark.browser
def test_report_in_a_browser(run_tool, models, clip_pairs, tmp_path):
    clips = clip_pairs(height=72, width=96, num_frames=6)
    result = run_tool(
        *('compare', *models, *QUICK, '--out', 'out'),
        *('--pairs', 'set <b>', clips / 'lq', clips / 'gt'),
    )
    assert result.status == 0, result.output
    page = tmp_path / 'out' / 'report.html'
    with started(tmp_path) as browser:
        browser.open(page)

        # The plot has a line for each method that has the figure, which its box takes away.
        lines = (
            "return [...document.querySelectorAll('#plot polyline')].map((l) => l.dataset.method)"
        )
        assert browser.run(lines) == ['bicubic', 'first', 'second']
        browser.click('#toggles label:nth-child(2) input')
        assert browser.run(lines) == ['bicubic', 'second']
        browser.run("document.getElementById('plot-figure').value = 'warping_error'")
        browser.run("document.getElementById('plot-figure').dispatchEvent(new Event('change'))")
        assert browser.run(lines) == ['ground truth', 'bicubic', 'second']
        browser.press('#plot', '\ue014\ue014')
        readout = browser.run("return document.getElementById('readout').textContent")
        assert readout.startswith('frame 1')

        # The slider moves by keys and by dragging the picture, and so does the border.
        before = browser.run(STATE)
        assert (before['value'], before['line']) == (50, '50%')
        browser.press('#slider', '\ue014' * 4)
        after = browser.run(STATE)
        assert (after['value'], after['line']) == (52, '52%')
        assert after['clip'] == 'inset(0px 48% 0px 0px)'
        width = browser.run("return document.getElementById('stage').clientWidth")
        browser.drag('#stage', (0, 0), (-width // 4, 5))
        assert browser.run(STATE)['value'] == pytest.approx(25, abs=1.5)
        # The two sides are the two methods that are chosen.
        choose = (
            'const side = document.getElementById(arguments[0]); side.value = arguments[1];'
            "side.dispatchEvent(new Event('change'))"
        )
        browser.run(choose, 'left', 'ground truth')
        chosen = browser.run(STATE)
        assert chosen['left'] not in (before['left'], before['right'])
        assert chosen['right'] == before['right']

        # A click on a heading sorts, a second one turns the order.
        names = browser.run(ROWS)
        assert names == ['ground truth', 'bicubic', 'first', 'second']
        heading = '#sets th:nth-child(2)'
        browser.click(f'{heading} button')
        best_first = browser.run(ROWS)
        with open(tmp_path / 'out' / 'results.csv') as file:
            psnr = {
                row['method']: float(row['psnr_y'] or 'nan')
                for row in csv.DictReader(file)
                if row['clip'] == row['frame'] == 'mean'
            }
        expected = sorted(names[1:], key=lambda name: -psnr[name])
        assert best_first == [*expected, 'ground truth']
        browser.click(f'{heading} button')
        assert browser.run(ROWS) == [*expected[::-1], 'ground truth']
        order = f"return document.querySelector('{heading}').getAttribute('aria-sort')"
        assert browser.run(order) == 'ascending'

        # Another clip has other pictures; all are there and seen.
        browser.run(choose, 'clip', '1')
        assert browser.run(STATE)['left'] != chosen['left']
        broken = 'return [...document.images].filter((i) => !i.complete || !i.naturalWidth).length'
        assert browser.run(broken) == 0
        assert browser.run("return document.querySelectorAll('#crops figure').length") == 5
        assert browser.run("return document.querySelectorAll('#flows img').length") == 3
        assert browser.run("return document.querySelectorAll('#profiles img').length") == 4
        assert browser.run("return document.querySelectorAll('#sets b').length") == 0
        overflow = 'return document.documentElement.scrollWidth - window.innerWidth'
        assert browser.run(overflow) <= 0
        unlabelled = (
            "return [...document.querySelectorAll('input, select')].filter((field) =>"
            ' !field.labels.length && !field.ariaLabel).length'
        )
        assert browser.run(unlabelled) == 0

        # Nothing is fetched but the page itself, and nothing was refused.
        fetched = {url for url in browser.fetched() if not url.startswith('data:')}
        assert fetched == {page.resolve().as_uri()}
        assert browser.complaints() == []


@pytest.mark.slow
@pytest.mark.browser
def test_report_on_a_narrow_screen(run_tool, models, clip_pairs, tmp_path):
    clips = clip_pairs(names=['000'], height=64, width=64, num_frames=1)
    result = run_tool('compare', *models, *QUICK, '--out', 'out', '--video', 'own', clips / 'lq')
    assert result.status == 0, result.output
    with started(tmp_path, (500, 800)) as browser:
        browser.open(tmp_path / 'out' / 'report.html')
        overflow = 'return document.documentElement.scrollWidth - window.innerWidth'
        assert browser.run(overflow) <= 0
        assert browser.run(ROWS) == ['bicubic', 'first', 'second']
        assert browser.run("return document.getElementById('flow-part').hidden")
        assert browser.complaints() == []
