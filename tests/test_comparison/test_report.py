# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import base64
import json
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from helpers.clips import degrade, moving_clip, write_frames
from helpers.comparison_models import write_basicvsr, write_model

from s2svr_mm.comparison import clips as data
from s2svr_mm.comparison import report
from s2svr_mm.comparison.comparison import ClipResult, Comparison
from s2svr_mm.comparison.methods import load_methods
from s2svr_mm.comparison.pictures import clip_pictures, data_uri
from s2svr_mm.comparison.tables import Tables
from s2svr_mm.errors import ConfigError
from s2svr_mm.io.images import write_png

NAMES = ('ours <script>alert(1)</script>', 'theirs "&amp;')


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
    """A comparison with its results: two networks, two sets, one without ground truth."""
    root = tmp_path_factory.mktemp('compared')
    clip = moving_clip(6, 72, 96)
    write_frames(root / 'gt' / 'walk', clip)
    write_frames(root / 'lq' / 'walk', degrade(clip, 4))
    models = [write_model(root, 'one'), write_basicvsr(root, 'two')]
    networks = load_methods(
        [(name, *model[1:]) for name, model in zip(NAMES, models, strict=True)],
        device='cpu',
        dtype='float32',
        window=8,
        tile=0,
    )
    clips = data.paired_clips('set', str(root / 'lq'), str(root / 'gt'), 4)
    clips += data.clips_without_truth('</script>', str(root / 'lq'), 4)
    comparison = Comparison(root / 'out', networks, clips, progress=False)
    return comparison, comparison.run()


def data_of(page):
    """What the page's script reads."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text[1])


def decoded(uri):
    content = base64.b64decode(uri.split(',')[1])
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_files(compared):
    comparison, results = compared
    files = report.write_comparison(comparison, results, 'Title & more')
    assert [file.name for file in files] == ['results.csv', 'table.md', 'report.html']
    page = files[2].read_text()
    assert len(page.encode()) < 10e6
    assert "default-src 'none'" in page
    # The namespace of SVG is a name and not an address that is fetched.
    addresses = set(re.findall(r'https?://[^\s"\'<>]*', page))
    assert addresses == {'http://www.w3.org/2000/svg'}
    assert '<script>alert' not in page
    found = data_of(page)
    assert found['title'] == 'Title & more'
    assert found['methods'] == ['ground truth', 'bicubic', *NAMES]
    assert [group['name'] for group in found['groups']] == ['set', '</script>']
    clip, own = found['clips']
    means = {r.method: r.mean('psnr_y') for r in results if r.group == 'set'}
    for name in ('bicubic', *NAMES):
        assert clip['methods'][name]['means']['psnr_y'] == pytest.approx(means[name], abs=1e-3)
        assert len(clip['methods'][name]['frames']['psnr_y']) == 6
    assert list(own['methods']['bicubic']['frames']) == ['warping_error']


def test_pictures_are_of_the_frames(compared):
    comparison, results = compared
    results = [r for r in results if r.group == 'set']
    made = clip_pictures(comparison.clips[0], results, comparison.networks, 4, 3)
    found = made.encoded(3, None)
    assert len({moment['index'] for moment in found['moments']}) == len(found['moments']) >= 2
    for moment in found['moments']:
        left, top, width, height = moment['region']
        for result in results:
            frame = result.read(moment['index'])[top : top + height, left : left + width]
            assert np.array_equal(decoded(moment['images'][result.method]), frame)
        assert list(moment['flows']) == [
            'DIS on ground truth',
            *(f'{name}, its own on the input' for name in NAMES),
        ]
    profile = found['profile']
    for result in results:
        rows = [result.read(i)[profile['row'], profile['left'] :] for i in range(6)]
        shown = decoded(profile['images'][result.method])
        assert np.array_equal(shown, np.stack(rows)[:, : shown.shape[1]])
    own = clip_pictures(comparison.clips[1], results, comparison.networks, 4, 1)
    assert len(own.moments) == 1


def test_crops_are_where_the_networks_differ(tmp_path):
    """Not where both differ from the baseline, and not twice at about the same time."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (20, 200, 320, 3)).astype(np.uint8)
    frames = {name: frames.copy() for name in ('bicubic', 'a', 'b')}
    frames['bicubic'][:, :64] //= 4
    places = {5: (130, 40), 6: (60, 20), 15: (90, 240)}
    for (index, (top, left)), change in zip(places.items(), (9, 8, 7), strict=True):
        block = frames['b'][index, top : top + 48, left : left + 64]
        block[:] = np.where(block > 127, block - change, block + change)
    results = []
    for name, clip in frames.items():
        (tmp_path / name).mkdir()
        for index, frame in enumerate(clip):
            write_png(tmp_path / name / f'{index:08d}.png', frame)
        results.append(
            ClipResult(
                *(name, 'set', 'clip', False, (200, 320), 20, '', [], 1.0, None, None, {}),
                tmp_path / name,
            )
        )
    networks = [SimpleNamespace(name=name, flow=lambda *_: None) for name in ('a', 'b')]
    clip = SimpleNamespace(gt=None, degraded=lambda indices: [None] * 2)
    made = clip_pictures(clip, results, networks, 4, 2)
    assert [moment.index for moment in made.moments] == [5, 15]
    for moment in made.moments:
        top, left = places[moment.index]
        assert moment.crop.top <= top <= moment.crop.top + moment.crop.height - 48
        assert moment.crop.left <= left <= moment.crop.left + moment.crop.width - 64
        assert (moment.crop.height, moment.crop.width) == (96, 128)
        assert list(moment.flows) == ['DIS on the enlarged input']


def test_size_is_kept_by_fewer_and_coarser_pictures(compared):
    comparison, results = compared
    tables = Tables(results, 'bicubic')
    limit, kept = report.MAX_BYTES, []
    while not kept or kept[-1]:
        page = report.build_report(comparison, results, tables, 'title', limit)
        assert len(page.encode()) <= limit
        limit = len(page.encode()) - 1
        clips = [clip['pictures'] for clip in data_of(page)['clips']]
        kept.append(sum(len(clip['moments']) for clip in clips if clip))
    assert kept == sorted(kept, reverse=True)
    assert len(kept) > 3
    assert kept[0] > kept[-2]
    with pytest.raises(ConfigError, match=r'the figures alone .* fewer clips at once'):
        report.build_report(comparison, results, tables, 'title', limit)


def test_largest_pictures_fit():
    """The coarsest level with pictures, at the full size of regions and of noise, with 20 rows."""
    noise = np.random.default_rng(0).integers(0, 256, (360, 480, 3)).astype(np.uint8)
    clips, moments, quality = report.LEVELS[-2]
    assert clips * (moments + 1) * 20 * len(data_uri(noise, quality)) < report.MAX_BYTES
