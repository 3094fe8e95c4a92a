# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import csv
import io
import math

import cv2
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.comparison_models import write_basicvsr, write_model
from mmagic.evaluation.metrics import PSNR, SSIM
from skimage.metrics import structural_similarity

from s2svr_mm.comparison import clips as data
from s2svr_mm.comparison import methods
from s2svr_mm.comparison.comparison import Comparison
from s2svr_mm.comparison.tables import Tables
from s2svr_mm.errors import ConfigError, DataError, OutputError
from s2svr_mm.evaluation.clip_measurer import ClipMeasurer, Stopwatch
from s2svr_mm.utils.files import output_folder

LUMA = np.array([65.481, 128.553, 24.966]) / 255


class TestMeasures:
    def test_psnr_and_ssim_by_another_way(self):
        truth = moving_clip(2, 40, 48).astype(np.float32)
        noise = np.random.default_rng(0).normal(0, 8, truth.shape)
        restored = (truth + noise).clip(0, 255).astype(np.float32)
        measurer = ClipMeasurer()
        for frame, true in zip(restored, truth, strict=True):
            measurer.add(frame, true, true)
        options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for index, (a, b) in enumerate(zip(restored, truth, strict=True)):
            for name, (x, y) in {'rgb': (a, b), 'y': (16 + a @ LUMA, 16 + b @ LUMA)}.items():
                mse = np.mean((x.astype(np.float64) - y) ** 2)
                psnr = measurer.figures[f'psnr_{name}'][index]
                assert psnr == pytest.approx(10 * math.log10(255**2 / mse), abs=1e-3)
                ssim = structural_similarity(
                    x, y, data_range=255, channel_axis=2 if x.ndim == 3 else None, **options
                )
                assert measurer.figures[f'ssim_{name}'][index] == pytest.approx(ssim, abs=1e-4)

    @pytest.mark.parametrize('colour', [None, 'Y'])
    def test_as_the_evaluator_has_them(self, colour):
        truth = moving_clip(2, 32, 32).astype(np.float32)
        restored = (truth + np.float32(3.3)).clip(0, 255)
        measurer = ClipMeasurer()
        for frame, true in zip(restored, truth, strict=True):
            measurer.add(frame, true, true)
        gt, pred = (
            torch.from_numpy(x[..., ::-1].copy()).permute(0, 3, 1, 2) for x in (truth, restored)
        )
        for metric in (PSNR(convert_to=colour), SSIM(convert_to=colour)):
            metric.channel_order = 'BGR'
            metric.process(None, [dict(gt_img=gt, output=dict(pred_img=pred))])
            (expected,) = metric.compute_metrics(metric.results).values()
            found = measurer.figures[f'{metric.metric.lower()}_{"y" if colour else "rgb"}']
            assert np.mean(found) == pytest.approx(expected, abs=1e-5)

    def test_warping_error_of_what_moves_and_of_what_flickers(self):
        """A texture that moves by whole pixels has none; brightness steps of d have d squared."""
        texture = moving_clip(1, 100, 120)[0].astype(np.float32) * 0.8 + 20
        moving = [texture[2 * i : 2 * i + 80, 3 * i : 3 * i + 96] for i in range(4)]
        step = 20
        flicker = [frame + step * (-1) ** i / 2 for i, frame in enumerate(moving)]
        found = {}
        for name, frames in (('steady', moving), ('flickering', flicker)):
            measurer = ClipMeasurer()
            for frame, guide in zip(frames, moving, strict=True):
                measurer.add(frame.astype(np.float32), None, guide)
            assert list(measurer.figures) == ['warping_error']
            found[name] = measurer.figures['warping_error']
        assert len(found['steady']) == 3
        assert max(found['steady']) < 1e-5
        assert found['flickering'] == pytest.approx([(step / 255) ** 2] * 3, rel=0.02)

    def test_warping_error_leaves_out_what_is_hidden(self):
        """What comes into view behind a moving square is not counted."""
        ground, square = moving_clip(2, 96, 128, seed=3), moving_clip(2, 40, 40, seed=4)
        frames = [frame.astype(np.float32) for frame in ground[[0, 0]]]
        for frame, left in zip(frames, (30, 40), strict=True):
            frame[28:68, left : left + 40] = square[0]
        measurer = ClipMeasurer()
        for frame in frames:
            measurer.add(frame, None, frame)
        everywhere = np.mean(((frames[1] - frames[0]) / 255) ** 2)
        assert measurer.figures['warping_error'][0] < 0.1 * everywhere

    def test_sizes_that_differ(self):
        small, large = (np.zeros((s, s, 3), np.float32) for s in (16, 32))
        with pytest.raises(ValueError, match=r'\(16, 16, 3\).*\(32, 32, 3\)'):
            ClipMeasurer().add(small, None, large)

    def test_stopwatch_leaves_out_what_is_done_with_the_items(self, monkeypatch):
        clock = iter(range(100))
        monkeypatch.setattr('s2svr_mm.evaluation.clip_measurer.perf_counter', lambda: next(clock))
        watch = Stopwatch()
        for _ in watch.timed('abc'):
            next(clock)
        assert watch.seconds == 4


def test_bicubic_is_that_of_matlab():
    """The cubic of Keys with a = -1/2; OpenCV's is -3/4."""
    step = np.tile(np.float32([0, 0, 0, 0, 100, 100, 100, 100])[None, :, None], (8, 1, 3))
    enlarged = methods.bicubic(step, 4)
    assert enlarged.shape == (32, 32, 3)
    # A pixel 1/8 left of the step's middle sees two pixels of the right, at 5/8 and 13/8.
    near, far = (np.array(x) for x in (5 / 8, 13 / 8))
    weights = 1.5 * near**3 - 2.5 * near**2 + 1, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    assert enlarged[16, 15] == pytest.approx(100 * sum(weights), abs=1e-3)
    assert np.array_equal(methods.bicubic(step, 1), step)


class TestData:
    def test_pairs(self, clip_pairs):
        root = clip_pairs()
        clips = data.paired_clips('set', str(root / 'lq'), str(root / 'gt'), 4, frames=3)
        assert [(c.group, c.key, c.num_frames) for c in clips] == [
            ('set', '000', 3),
            ('set', '001', 3),
        ]
        pairs = list(clips[0].pairs())
        assert [x.shape for x in pairs[0]] == [(16, 16, 3), (64, 64, 3)]
        assert len(pairs) == 3
        assert pairs[0][0].dtype == np.float32
        assert np.array_equal(clips[0].degraded([1])[0], pairs[1][0])

    def test_fingerprint_follows_the_files(self, clip_pairs):
        root = clip_pairs(names=['000'])
        (clip,) = data.paired_clips('set', str(root / 'lq'), str(root / 'gt'), 4)
        before = clip.fingerprint()
        assert clip.fingerprint() == before
        frame = root / 'lq' / '000' / '00000001.png'
        cv2.imwrite(str(frame), np.zeros((16, 16, 3), np.uint8))
        changed = {key for key, value in clip.fingerprint().items() if value != before[key]}
        assert changed == {'input'}

    @pytest.mark.parametrize(
        ('kind', 'scale', 'size', 'frames'),
        [
            ('bi', 4, 16, 9),
            ('x2', 2, 32, 9),
            ('bd', 2, 32, 9),
            ('blur', 1, 64, 3),
            ('qp37', 1, 64, 9),
            ('crf23', 1, 64, 9),
            ('crf23', 4, 16, 9),
            ('real', 2, 32, 9),
        ],
    )
    def test_degraded_once(self, tmp_path, kind, scale, size, frames):
        write_frames(tmp_path / 'gt' / 'walk', moving_clip(9, 64, 64))
        make = lambda: data.degraded_clips(  # noqa: E731
            'set', str(tmp_path / 'gt'), kind, scale, tmp_path / 'work'
        )
        (clip,) = make()
        assert (clip.key, clip.num_frames) == ('walk', frames)
        lq, gt = next(clip.pairs())
        assert lq.shape == (size, size, 3)
        assert gt.shape == (64, 64, 3)
        assert np.abs(gt - methods.bicubic(lq, scale)).mean() < 30
        made = {path: path.stat().st_mtime_ns for path in (tmp_path / 'work').rglob('*.png')}
        assert make() == [clip]
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / 'work').rglob('*.png')} == made

    def test_bad_data_is_named(self, clip_pairs, tmp_path):
        root = clip_pairs(names=['000'])
        lq, gt = str(root / 'lq'), str(root / 'gt')
        write_frames(tmp_path / 'short' / '000', moving_clip(3, 64, 64))
        write_frames(tmp_path / 'other' / '001', moving_clip(5, 64, 64))
        for arguments, message in (
            ((lq, str(tmp_path / 'none'), 4), r'set: there is no .*none\. Give a folder'),
            ((lq, gt, 2), r'clip "000": .* 16x16 .* 64x64, .*scale 2.* must be 32x32'),
            ((lq, str(tmp_path / 'short'), 4), r'has 5 frames in .* but 3 in'),
            ((lq, str(tmp_path / 'other'), 4), r'1 clips are in .*lq but not in .*other: 000'),
        ):
            with pytest.raises(DataError, match=message):
                data.paired_clips('set', *arguments)
        for kind, scale, message in (
            ('fog', 4, "'fog' is unknown"),
            ('blur', 4, '--degrade: blur goes with networks at scale 1, but .* scale 4'),
            ('bi', 1, '--degrade: bi goes with networks at scale 2 or 4, but .* scale 1'),
            ('x2', 4, '--degrade: x2 goes with networks at scale 2, but .* scale 4'),
        ):
            with pytest.raises(ConfigError, match=message):
                data.degraded_clips('set', gt, kind, scale, tmp_path)
        with pytest.raises(DataError, match='too short for --degrade blur'):
            data.degraded_clips('set', str(tmp_path / 'short'), 'blur', 1, tmp_path / 'work')


class TestNetworks:
    def test_names_and_scales(self, tmp_path):
        four, two = write_model(tmp_path, 'four'), write_model(tmp_path, 'two', scale=2)
        for models, message in (
            ([], 'give --model NAME CONFIG CHECKPOINT'),
            ([four, four], "'four' is given twice"),
            ([('bicubic', *four[1:])], "'bicubic' is reserved"),
            ([('..', *four[1:])], 'start with a dot'),
            ([four, two], r'different scales \(four at 4, two at 2\)'),
        ):
            with pytest.raises(ConfigError, match=message):
                methods.load_methods(models, device='cpu')

    def test_flow_of_mmagics_and_ours_has_the_size_of_the_input(self, tmp_path):
        first, second = moving_clip(2, 20, 24)
        for model in (write_basicvsr(tmp_path, 'basicvsr'), write_model(tmp_path, 's2svr')):
            (network,) = methods.load_methods([model], device='cpu')
            assert network.scale == 4
            assert network.flow(first, second).shape == (20, 24, 2)
            assert network.macs((20, 24)) > 0

    def test_flow_goes_to_the_next_frame(self, tmp_path):
        (network,) = methods.load_methods([write_basicvsr(tmp_path, 'basicvsr')], device='cpu')
        frames = moving_clip(2, 64, 64)
        clip = torch.from_numpy(frames / np.float32(255)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            expected = network.restorer.network.spynet(clip[:1], clip[1:])
        found = torch.from_numpy(network.flow(*frames)).permute(2, 0, 1)
        assert torch.allclose(found, expected[0], atol=1e-4)


@pytest.fixture
def comparison(tmp_path, clip_pairs):
    """A function that sets up two networks on two clips, in a folder."""
    root = clip_pairs(num_frames=4, height=64, width=80)
    models = [write_model(tmp_path, name, seed=seed) for seed, name in enumerate(['a', 'b'])]

    def make(names=('a', 'b')):
        networks = methods.load_methods(
            [model for model in models if model[0] in names],
            device='cpu',
            dtype='float32',
            window=8,
            tile=0,
        )
        clips = data.paired_clips('set', str(root / 'lq'), str(root / 'gt'), 4)
        clips += data.clips_without_truth('own', str(root / 'lq' / '000'))
        return Comparison(tmp_path / 'out', networks, clips, progress=False)

    return make


def state_of(folder):
    """Names and times of all files below a folder."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*') if path.is_file()}


class TestRun:
    def test_restores_as_the_restorer_and_measures(self, comparison, tmp_path):
        made = comparison()
        results = made.run()
        assert [(r.group, r.clip, r.method) for r in results][:5] == [
            ('set', '000', 'ground truth'),
            ('set', '000', 'bicubic'),
            ('set', '000', 'a'),
            ('set', '000', 'b'),
            ('set', '001', 'ground truth'),
        ]
        by_name = {(r.group, r.clip, r.method): r for r in results}
        clip = made.clips[0]
        lqs, truths = zip(*clip.pairs(), strict=True)
        result = by_name['set', '000', 'a']
        for index, frame in enumerate(made.networks[0].restorer.restore(lqs)):
            mse = np.mean((frame.astype(np.float64) - truths[index]) ** 2)
            expected = 10 * math.log10(255**2 / mse)
            assert result.figures['psnr_rgb'][index] == pytest.approx(expected, abs=1e-3)
            assert np.abs(result.read(index) - frame).max() <= 0.501
        assert result.size == (64, 80)
        assert result.seconds > 0
        assert result.parameters == sum(
            p.numel() for p in made.networks[0].restorer.network.parameters()
        )
        assert result.macs > 0
        truth = by_name['set', '000', 'ground truth']
        assert list(truth.figures) == ['warping_error']
        assert all(np.array_equal(truth.read(i), truths[i]) for i in range(4))
        own = [r for r in results if r.group == 'own']
        assert [r.method for r in own] == ['bicubic', 'a', 'b']
        assert all(list(r.figures) == ['warping_error'] for r in own)

    def test_again_does_nothing_and_a_further_network_adds(self, comparison, tmp_path):
        first = comparison(['a']).run()
        kept = state_of(tmp_path / 'out')
        assert comparison(['a']).run() == first
        assert state_of(tmp_path / 'out') == kept
        second = comparison().run()
        assert kept.items() <= state_of(tmp_path / 'out').items()
        assert [r for r in second if r.method != 'b'] == first

    def test_other_weights_or_data_are_never_mixed(self, comparison, tmp_path, capsys):
        first = comparison().run()
        write_model(tmp_path, 'b', seed=7)
        second = comparison().run()
        changed = [a.method for a, b in zip(first, second, strict=True) if a != b]
        assert changed == ['b'] * 3
        assert 'set/000 by b is made again: another network' in capsys.readouterr().err
        frame = tmp_path / 'clips' / 'lq' / '001' / '00000002.png'
        cv2.imwrite(str(frame), cv2.imread(str(frame)) // 2)
        third = comparison().run()
        changed = {(a.group, a.clip) for a, b in zip(second, third, strict=True) if a != b}
        assert changed == {('set', '001')}
        (tmp_path / 'out/results/set/000/a/00000001.png').unlink()
        comparison().run()
        assert 'set/000 by a is made again: another frame is gone' in capsys.readouterr().err
        assert (tmp_path / 'out/results/set/000/a/00000001.png').is_file()

    @pytest.mark.parametrize('name', ['results.csv', 'results/set/000/a/holiday.png'])
    def test_nothing_foreign_is_replaced(self, comparison, tmp_path, name):
        """Found out before anything is restored, or when it comes to that folder."""
        theirs = tmp_path / 'out' / name
        theirs.parent.mkdir(parents=True)
        theirs.write_text('precious')
        with pytest.raises(OutputError, match=f'holds {theirs.name}, which this program did not'):
            comparison(['a']).run()
        assert theirs.read_text() == 'precious'
        assert (tmp_path / 'out' / 'results').exists() == (name != 'results.csv')

    def test_a_result_that_was_changed_by_hand_stays(self, comparison, tmp_path):
        comparison(['a']).run()
        frame = tmp_path / 'out/results/set/000/a/00000001.png'
        cv2.imwrite(str(frame), cv2.imread(str(frame)) // 2)
        edited = frame.read_bytes()
        write_model(tmp_path, 'a', seed=7)
        with pytest.raises(OutputError, match=r'holds 00000001\.png'):
            comparison(['a']).run()
        assert frame.read_bytes() == edited

    def test_one_process_at_a_time(self, tmp_path):
        taken = pytest.raises(OutputError, match='another process')
        with output_folder(tmp_path / 'out'), taken, output_folder(tmp_path / 'out'):
            pass
        (tmp_path / 'file').touch()
        with pytest.raises(ConfigError, match='cannot be made'), output_folder(tmp_path / 'file'):
            pass


def test_tables(comparison):
    made = comparison()
    results = made.run()
    tables = Tables(results, made.baseline.name)
    psnr = {
        method: np.mean(
            [
                np.mean(r.figures['psnr_y'])
                for r in results
                if (r.group, r.method) == ('set', method)
            ]
        )
        for method in ('bicubic', 'a')
    }
    row = tables.of_group('set').loc['a']
    assert row['psnr_y'] == pytest.approx(psnr['a'])
    assert row['gain_y'] == pytest.approx(psnr['a'] - psnr['bicubic'])
    of_set, of_own = tables.to_markdown().split('### own')
    lines = of_set.splitlines()
    assert lines[0] == '### set'
    assert lines[2] == '2 clips, 8 frames'
    cells = {
        line.split(' | ')[0].strip('| '): line.strip('| ').split(' | ')
        for line in lines[4:]
        if line
    }
    assert cells['a'][1].strip('*') == f'{psnr["a"]:.2f}'
    assert cells['ground truth'][1] == '-'
    assert 'PSNR' not in of_own
    assert 'warping error x 1000' in of_own

    rows = list(csv.DictReader(io.StringIO(tables.to_csv())))
    kinds = [(row['set'], row['clip'], row['method'], row['frame']) for row in rows]
    assert len(set(kinds)) == len(kinds) == (4 + 8 + 32) + (3 + 3 + 12)
    of = dict(zip(kinds, rows, strict=True))
    frames = [float(of['set', '001', 'a', str(i)]['psnr_y']) for i in range(4)]
    assert float(of['set', '001', 'a', 'mean']['psnr_y']) == pytest.approx(np.mean(frames))
    assert float(of['set', 'mean', 'a', 'mean']['psnr_y']) == pytest.approx(psnr['a'])
    assert of['set', '001', 'a', '3']['warping_error'] == ''
    gain = float(of['set', '000', 'a', '0']['gain_rgb'])
    floor, own = (float(of['set', '000', m, '0']['psnr_rgb']) for m in ('bicubic', 'a'))
    assert gain == pytest.approx(own - floor)
