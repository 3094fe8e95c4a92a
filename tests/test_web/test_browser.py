# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The page in a real browser, with a real server and real workers."""

import base64
import hashlib
import os
import re
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from helpers.browser import started
from helpers.clips import moving_clip
from helpers.tool_process import CHECKOUT
from helpers.videos import write_movie

from s2svr_mm.io.video import VideoReader

pytestmark = [pytest.mark.slow, pytest.mark.browser]
STATE = "return (document.querySelector('#state')?.textContent || '')"
DONE = (
    'return Number((/(\\d+) of 150/.exec(document.querySelector("#state")?.textContent) || [])[1])'
)
# Of a request that is refused, and of a server that is gone.
EXPECTED = r'400 \(Bad Request\)|ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING)'
VIDEOS = "[...document.querySelectorAll('.stage video')]"
LISTED = "[...document.querySelectorAll('nav li .soft')].map((state) => state.textContent)"
DIGEST = """
const hex = (n) => n.toString(16).padStart(2, '0');
if (!window.digest) {
  window.digest = 'wait';
  fetch(document.querySelector('#save').href).then((answer) => answer.arrayBuffer())
    .then((content) => crypto.subtle.digest('SHA-256', content))
    .then((digest) => { window.digest = [...new Uint8Array(digest)].map(hex).join(''); });
}
return window.digest.length > 4 ? window.digest : null
"""


class Server:
    """``s2svr web`` as a user starts it."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.port = '0'

    def start(self):
        env = {**os.environ, 'PYTHONPATH': str(CHECKOUT)}
        command = [sys.executable, '-m', 's2svr_launcher', 'web', '--port', self.port]
        self.process = subprocess.Popen(
            [*command, '--root', 'videos', '--max-upload', '1M'],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=(self.folder / 'stderr').open('a'),
            text=True,
        )
        self.address = self.process.stdout.readline().strip()
        self.port = re.fullmatch(r'http://127\.0\.0\.1:(\d+)/\?token=\S{32}', self.address)[1]

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp('server')
    (folder / 'videos').mkdir()
    write_movie(folder / 'videos' / 'walk.mp4', moving_clip(12, 96, 128), sound=True)
    # Three segments of 48 frames, and so small that these take seconds.
    write_movie(folder / 'videos' / 'long.mkv', moving_clip(150, 16, 24), codec='ffv1')
    (folder / 'broken.mp4').write_bytes(b'no video' * 1000)
    server = Server(folder)
    server.start()
    yield server
    # Ctrl-C ends it with a page still open.
    assert server.end(signal.SIGINT) == 130
    assert 'Traceback' not in (folder / 'stderr').read_text()


@pytest.fixture(scope='module')
def browser(server, tmp_path_factory):
    with started(tmp_path_factory.mktemp('browser')) as browser:
        browser.open(server.address)
        browser.wait("return document.querySelector('.drop')")
        yield browser
        here = f'http://127.0.0.1:{server.port}/'
        fetched = browser.fetched()
        assert fetched
        assert all(url.startswith((here, 'data:', 'blob:')) for url in fetched)


@pytest.fixture(autouse=True)
def page(browser):
    """The page for a new video; its console has nothing to complain about but what is told."""
    browser.run("location.hash = '#/'")
    browser.wait("return document.querySelector('main .drop')")
    yield
    assert [text for text in browser.complaints() if not re.search(EXPECTED, text)] == []


def pick(browser, name):
    browser.click('.files, details summary')
    find = (
        'return [...document.querySelectorAll(".files button")]'
        '.find((button) => button.textContent.startsWith(arguments[0]))'
    )
    browser.wait(find, name)
    browser.run(find.replace('return ', '') + '.click()', name)
    browser.wait("return document.querySelector('#start')")


def set_up(browser, label, **settings):
    browser.run(
        '[...document.querySelectorAll(".tasks label")]'
        '.find((task) => task.textContent.includes(arguments[0])).click()',
        label,
    )
    browser.run("document.querySelector('form details').open = true")
    for name, value in settings.items():
        browser.run(
            'const input = document.querySelector(`form [name=${arguments[0]}]`);'
            "input.value = arguments[1]; input.dispatchEvent(new Event('change', {bubbles: true}))",
            name,
            value,
        )


def press(browser, label):
    browser.run(
        "[...document.querySelectorAll('button')]"
        '.find((button) => button.textContent === arguments[0]).click()',
        label,
    )


def pixels(browser, selector):
    """What is on the screen where an element is, (h, w, 3)."""
    browser.find(selector)
    box = browser.run(
        'const box = document.querySelector(arguments[0]).getBoundingClientRect();'
        'return [box.left, box.top, box.right, box.bottom].map(Math.round)',
        selector,
    )
    shot = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return shot[box[1] : box[3], box[0] : box[2]].astype(int)


def slide(browser, value):
    browser.run(
        "const cut = document.querySelector('input[aria-label^=Border]');"
        "cut.value = arguments[0]; cut.dispatchEvent(new Event('input'))",
        value,
    )


def fits_a_phone(browser):
    browser.emulate(390, 844, dark=True)
    assert browser.run('return document.documentElement.scrollWidth') <= 390
    browser.emulate(1200, 900)


def test_upload_preview_and_slider(browser, server):
    browser.press('input[type=file]', str(server.folder / 'videos' / 'walk.mp4'))
    browser.wait("return document.querySelector('#preview')")
    assert '128x96 · 12 frames · 0.5 s · 25 frames/s · h264, yuv420p' in browser.text()
    set_up(browser, 'Enlarge x4')
    fits_a_phone(browser)
    browser.click('#preview')
    told = "return document.querySelector('#estimate').textContent"
    browser.wait(f"{told}.startsWith('Estimate')", seconds=300)
    assert re.search(r'whole: [\d.]+ (s|min), [\d.]+ GB, result 512x384', browser.run(told))
    browser.wait("return document.querySelector('.stage img:nth-child(2)').naturalWidth === 512")
    browser.wait("return document.querySelector('.stage img').naturalWidth === 128")

    # Left of the border is the input, right of it the result, and the border moves.
    slide(browser, 0)
    result = pixels(browser, '.stage')
    slide(browser, 100)
    source = pixels(browser, '.stage')
    slide(browser, 30)
    both = pixels(browser, '.stage')
    cut, below = int(0.3 * both.shape[1]), 60
    assert np.abs(result - source)[below:].mean() > 1
    assert np.array_equal(both[below:, : cut - 5], source[below:, : cut - 5])
    assert np.array_equal(both[below:, cut + 5 :], result[below:, cut + 5 :])

    # The same by keys, and by dragging.
    where = "return document.querySelector('.stage .line').style.left"
    browser.press('input[aria-label^=Border]', '\ue014' * 4)
    assert browser.run(where) == '32%'
    width = browser.run("return document.querySelector('.stage').clientWidth")
    browser.drag('.stage', (0, 0), (width // 4, 3))
    assert float(browser.run(where)[:-1]) == pytest.approx(75, abs=1)

    # What is shown at 100 % follows the pointer and the keys.
    part = 'return document.querySelectorAll("canvas")[1].toDataURL()'
    first = browser.run(part)
    browser.drag('.stage', (0, 0), (-width // 3, -20))
    second = browser.run(part)
    browser.press('.stage', '\ue015' * 3)
    assert len({first, second, browser.run(part)}) == 3
    fits_a_phone(browser)


def test_run_to_the_end_play_and_save(browser, server):
    pick(browser, 'walk.mp4')
    set_up(browser, 'Deblur', device='cpu', dtype='float32', size='60p')
    browser.click('#start')
    browser.wait("return document.querySelector('#save')", seconds=300)
    fits_a_phone(browser)
    browser.wait(f'return {VIDEOS}.every((video) => video.readyState >= 2)')

    # One time line for both, one button to play both.
    browser.run(
        "const time = document.querySelector('input[aria-label=Time]');"
        "time.value = 0.2; time.dispatchEvent(new Event('input'))"
    )
    times = f'return {VIDEOS}.map((video) => video.currentTime)'
    assert browser.run(times) == [0.2, 0.2]
    press(browser, 'Play')
    browser.wait(f'return {VIDEOS}.every((video) => video.currentTime > 0.25)')
    browser.wait(f'return {VIDEOS}.every((video) => video.paused)')
    ends = browser.run(times)
    assert ends[0] == pytest.approx(ends[1], abs=0.02)

    # What is saved is the file itself.
    digest = browser.wait(DIGEST)
    (result,) = server.folder.glob('s2svr_web/jobs/*/walk_s2svr_s_deblur.mp4')
    assert digest == hashlib.sha256(result.read_bytes()).hexdigest()
    assert VideoReader(str(result)).info.height == 60

    # A report against the ground truth is one more job.
    browser.run("document.querySelector('#truth').open = true")
    browser.run("document.querySelector('#report-frames').value = 3")
    browser.press('#truth input[type=file]', str(server.folder / 'videos' / 'walk.mp4'))
    browser.wait('return document.querySelector("a[href$=\'report.html\']")', seconds=300)
    address = browser.run('return document.querySelector("a[href$=\'report.html\']").href')
    here = browser.run('return location.href')
    browser.open(address)
    assert 's2svr_s_deblur' in browser.text()
    assert browser.run("return document.querySelectorAll('#sets tbody tr').length") == 3
    browser.open(here)
    browser.wait("return document.querySelector('nav li')")


def test_stop_reload_resume_and_a_server_that_is_killed(browser, server):
    pick(browser, 'long.mkv')
    set_up(browser, 'Deblur', device='cpu', dtype='float32', window='6')
    browser.click('#start')
    browser.wait(f'{DONE} >= 52', seconds=300)
    browser.run('location.reload()')
    browser.wait(f'{DONE} >= 52')
    browser.wait("return document.querySelector('.latest').naturalWidth === 24")
    browser.click('#stop')
    browser.wait(f"{STATE}.startsWith('stopped at')")
    fits_a_phone(browser)
    stopped = browser.run(DONE)
    browser.click('#resume')
    browser.wait(f"{STATE}.startsWith('restoring: ')")
    browser.wait(f'{DONE} >= Math.max(100, {stopped})', seconds=300)

    server.end(signal.SIGKILL)
    browser.wait("return !document.querySelector('#offline').hidden")
    server.start()
    browser.wait("return document.querySelector('#offline').hidden", seconds=300)
    browser.wait("return document.querySelector('#save')", seconds=300)
    resumed = re.search(r'150 frames, 24x16, .*; (\d+) frames were there', browser.text())
    assert int(resumed[1]) >= 48
    # What browsers do not play is played as a copy.
    browser.wait(f'return {VIDEOS}.every((video) => video.videoWidth === 24)')


def test_two_jobs_wait_for_each_other(browser):
    for _ in range(2):
        pick(browser, 'long.mkv')
        set_up(browser, 'Deblur', device='cpu', dtype='float32', window='6')
        browser.click('#start')
        browser.wait(f"{STATE}.startsWith('restoring')")
        browser.run("location.hash = '#/'")
        browser.wait("return document.querySelector('main .drop')")
    waits = 'restoring: waits for its turn'
    second, first = browser.run(f'return {LISTED}')[:2]
    assert second == waits
    assert first.startswith('restoring: ')
    browser.run("document.querySelectorAll('nav li a')[1].click()")
    browser.wait("return document.querySelector('#stop')")
    browser.click('#stop')
    browser.wait(f"{STATE}.startsWith('stopped')")
    # Now it is the other one's turn.
    browser.wait(f'return {LISTED}[0] !== {waits!r}')
    press(browser, 'Remove')
    press(browser, 'Remove it and what is done?')
    browser.wait("return document.querySelector('main .drop')")
    browser.run("document.querySelector('nav li a').click()")
    browser.wait("return document.querySelector('#stop')")
    browser.click('#stop')
    browser.wait(f"{STATE}.startsWith('stopped')")


def test_drop(browser, server):
    content = base64.b64encode((server.folder / 'videos' / 'walk.mp4').read_bytes()).decode()
    browser.run(
        'const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));'
        "const data = new DataTransfer(); data.items.add(new File([bytes], 'dropped.mp4'));"
        'const drop = {dataTransfer: data, bubbles: true, cancelable: true};'
        "document.querySelector('.drop').dispatchEvent(new DragEvent('drop', drop))",
        content,
    )
    browser.wait("return document.querySelector('#start')")
    assert browser.run("return document.querySelector('main h2').textContent") == 'dropped.mp4'
    assert '128x96 · 12 frames' in browser.text()
    press(browser, 'Remove')
    press(browser, 'Remove this video?')
    browser.wait("return document.querySelector('main .drop')")
    browser.wait("return !document.querySelector('nav').textContent.includes('dropped.mp4')")


def test_a_broken_file_and_one_that_is_too_large(browser, server):
    before = browser.run("return document.querySelectorAll('nav li').length")
    browser.press('input[type=file]', str(server.folder / 'broken.mp4'))
    problem = "return document.querySelector('main [role=alert]').textContent"
    browser.wait(f"{problem}.startsWith('Cannot open the video broken.mp4:')")
    large = server.folder / 'large.mp4'
    large.write_bytes(bytes(2**20 + 1))
    browser.press('input[type=file]', str(large))
    browser.wait(f"{problem}.includes('more than the 1 MB')")
    assert browser.run("return document.querySelectorAll('nav li').length") == before


def test_all_is_reached_by_keys(browser):
    """Tab goes to everything that can be used, and each has a name."""
    pick(browser, 'walk.mp4')
    names = browser.run(
        "return [...document.querySelectorAll('main button, main input, main select, main .stage')]"
        '.map((use) => use.getAttribute("aria-label") || use.labels?.[0]?.textContent'
        ' || use.textContent)'
    )
    assert all(name and name.strip() for name in names)
    browser.run("document.querySelector('main').focus()")
    reached = set()
    for _ in range(12):
        # After the last element, Tab leaves the page.
        if not browser.run('return document.hasFocus()'):
            break
        browser.press(':focus', '\ue004')
        reached.add(browser.run('return document.activeElement.id || document.activeElement.name'))
    assert {'task', 'preview', 'start'} <= reached
