# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import mmagic
import numpy as np
import pytest
from helpers import standins
from mmagic.registry import DATASETS
from mmengine import Config

from s2svr_mm.datasets import BicubicDownsample, GaussianDownsample
from s2svr_mm.datasets.preparation import RECIPES, prepare_published
from s2svr_mm.datasets.preparation.archives import unpack
from s2svr_mm.errors import DataError
from s2svr_mm.io.images import read_image

CONFIGS = Path(__file__).parents[3] / 'configs/_base_/datasets'
MMAGIC_CONFIG = (
    Path(mmagic.__file__).parent / '.mim/configs/_base_/datasets/basicvsr_test_config.py'
)


@pytest.fixture
def src(tmp_path):
    return tmp_path / 'download'


@pytest.fixture
def dst(tmp_path):
    return tmp_path / 'data'


def snapshot(root: Path) -> dict[str, str]:
    """Hash and time of change of every file."""
    return {
        str(path.relative_to(root)): f'{hashlib.sha1(path.read_bytes()).hexdigest()} '
        f'{path.stat().st_mtime_ns}'
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def keys(dataset) -> list[str]:
    return [dataset[i]['key'] for i in range(len(dataset))]


def from_config(name: str, loader: str, dst: Path, **changes):
    """The data set of one of our base configs, at another place."""
    config = Config.fromfile(CONFIGS / name)[loader].dataset
    config.update(data_root=str(dst), pipeline=[dict(type='LoadClip')], **changes)
    return DATASETS.build(config)


def from_mmagic(name: str, dst: Path, **changes):
    """The data set of mmagic's own test config, at another place."""
    config = Config.fromfile(MMAGIC_CONFIG)[name].dataset
    config.update(data_root=str(dst), **changes)
    return DATASETS.build(config)


class TestLayouts:
    def test_reds(self, src, dst):
        standins.reds(src)
        recipe = standins.scaled('reds', [3, 3, 3, 3], 3)
        prepare_published(recipe, src, dst)
        train = from_config('reds.py', 'train_dataloader', dst, num_input_frames=2)
        assert keys(train) == ['001', '240', '241', '251']
        assert [len(train[0]['img']), train[0]['scale']] == [2, 4]
        assert keys(from_config('reds.py', 'val_dataloader', dst)) == ['000', '011']
        theirs = from_mmagic('reds_dataloader', dst, num_input_frames=3, fixed_seq_len=3)
        assert len(theirs) == 2
        assert theirs[1]['inputs'].shape == (3, 3, 8, 12)
        lines = (dst / 'meta_info_REDS_GT.txt').read_text().splitlines()
        assert lines[3] == '001/00000000.png (32, 48, 3)'
        assert len(lines) == 18

    @pytest.mark.parametrize('degradations', [None, ['bd']])
    def test_vimeo90k(self, src, dst, degradations):
        standins.vimeo90k(src)
        prepare_published(standins.scaled('vimeo90k', [2, 1]), src, dst, degradations)
        made = ['BDx4'] if degradations else ['BIx4', 'BDx4']
        assert sorted(p.name for p in dst.glob('B*')) == sorted(made)
        assert not (dst / 'GT/00002/0777').exists()
        text = (dst / 'meta_info_Vimeo90K_train_GT.txt').read_text()
        assert text == '00001/0001 (32, 48, 3)\n00002/0001 (32, 48, 3)\n'
        gt = read_image(str(dst / 'GT/00001/0266/im4.png'))
        shrink = {'BIx4': BicubicDownsample(), 'BDx4': GaussianDownsample()}
        for folder in made:
            lq = read_image(str(dst / folder / '00001/0266/im4.png'))
            np.testing.assert_array_equal(lq, shrink[folder].transform(dict(gt=[gt]))['img'][0])
        train = from_config(f'vimeo90k_{made[0][:2].lower()}.py', 'train_dataloader', dst)
        assert keys(train) == ['00001/0001', '00002/0001']
        (theirs,) = from_mmagic('vimeo_90k_bd_dataloader', dst)
        assert theirs['inputs'].shape == (14, 3, 8, 12)
        assert theirs['data_samples'].gt_img.shape == (3, 32, 48)

    def test_vid4(self, src, dst):
        standins.vid4(src)
        prepare_published(RECIPES['vid4'], src, dst, workers=2)
        for loader in ('vid4_bi_dataloader', 'vid4_bd_dataloader'):
            theirs = from_mmagic(loader, dst)
            lengths = [len(theirs[i]['inputs']) for i in range(4)]
            assert lengths == [41, 34, 49, 47]
        for name in ('vimeo90k_bi.py', 'vimeo90k_bd.py'):
            ours = from_config(name, 'val_dataloader', dst)
            assert [len(ours[i]['img']) for i in range(4)] == lengths
        names = sorted(os.listdir(dst / 'BIx4/walk'))
        assert [names[0], names[-1]] == ['00000000.png', '00000046.png']

    def test_vid4_with_published_degraded_frames(self, src, dst, capsys):
        standins.vid4(src)
        for clip, frames in standins.VID4_FRAMES.items():
            names = [f'{i:03d}.png' for i in range(frames)]
            standins.write_clip(src / 'Vid4/BIx4' / clip, names, (8, 12), seed=9)
        prepare_published(RECIPES['vid4'], src, dst, ['bi'])
        assert 'BIx4 is taken from the download' in capsys.readouterr().out
        taken = (dst / 'BIx4/city/00000002.png').read_bytes()
        assert taken == (src / 'Vid4/BIx4/city/002.png').read_bytes()

    def test_udm10(self, src, dst):
        standins.udm10(src)
        prepare_published(standins.scaled('udm10', [10], 3), src, dst)
        theirs = from_mmagic('udm10_dataloader', dst)
        assert len(theirs) == 10
        assert theirs[0]['inputs'].shape == (3, 3, 8, 12)

    def test_gopro(self, src, dst):
        standins.gopro(src)
        prepare_published(standins.scaled('gopro', [2, 2, 1, 1], 4), src, dst)
        train = from_config('gopro.py', 'train_dataloader', dst, num_input_frames=3)
        assert keys(train) == ['GOPR0372_07_00', 'GOPR0372_07_01']
        (test,) = from_config('gopro.py', 'test_dataloader', dst)
        assert test['img_path'][0].endswith('test/blur/GOPR0384_11_00/000047.png')

    def test_dvd(self, src, dst):
        standins.dvd(src)
        prepare_published(standins.scaled('dvd', [2, 2, 2, 2]), src, dst)
        train = from_config('dvd.py', 'train_dataloader', dst, num_input_frames=2)
        assert keys(train) == ['720p_240fps_1', 'IMG_0001']
        assert keys(from_config('dvd.py', 'val_dataloader', dst)) == ['720p_240fps_2', 'IMG_0003']

    def test_mfqev2(self, src, dst):
        standins.mfqev2(src)
        recipe = standins.scaled('mfqev2', [2, 1])
        prepare_published(recipe, src, dst, ['qp22', 'qp37', 'qp42'])
        (test,) = from_config('mfqev2.py', 'val_dataloader', dst)
        assert [test['key'], test['scale']] == ['Kimono_96x72_3', 1]
        quality = []
        for qp in (22, 42):
            dataset = DATASETS.build(
                dict(
                    type='VideoClipDataset',
                    data_root=str(dst / 'train'),
                    data_prefix=dict(img=f'QP{qp}', gt='GT'),
                    test_mode=True,
                    pipeline=[dict(type='LoadYUVFrames', luma_only=True)],
                )
            )
            assert keys(dataset) == ['akiyo_96x72_3', 'bus_96x72_3']
            sample = dataset[0]
            quality.append(np.mean((np.float64(sample['img']) - sample['gt']) ** 2))
        assert 0 < 4 * quality[0] < quality[1]


class TestRuns:
    @pytest.fixture
    def recipe(self, src):
        standins.reds(src)
        return standins.scaled('reds', [3, 3, 3, 3], 3)

    @pytest.mark.parametrize('copy', [False, True])
    def test_the_source_is_only_read(self, src, dst, recipe, copy):
        before = snapshot(src)
        prepare_published(recipe, src, dst, copy=copy)
        clip = dst / 'train_sharp/000'
        assert clip.is_symlink() is not copy
        if copy:
            (clip / '00000000.png').write_bytes(b'')
        shutil.rmtree(dst)
        assert snapshot(src) == before

    def test_a_second_call_changes_nothing(self, src, dst):
        standins.vimeo90k(src)
        runs = []
        for _ in range(2):
            prepare_published(RECIPES['vimeo90k'], src, dst, allow_partial=True)
            files = snapshot(dst)
            runs.append({path: files[path] for path in files if path.endswith('.png')})
        assert len(runs[0]) == 2 * 3 * 7  # GT is links
        assert runs[0] == runs[1]

    def test_an_interrupted_call_is_taken_up(self, src, dst, monkeypatch):
        from s2svr_mm.datasets.preparation import writing

        standins.vimeo90k(src)
        write_png, count = writing.write_png, iter(range(1000))

        def stop_in_the_second_clip(path, frame):
            if next(count) == 10:
                raise KeyboardInterrupt
            write_png(path, frame)

        monkeypatch.setattr(writing, 'write_png', stop_in_the_second_clip)
        with pytest.raises(KeyboardInterrupt):
            prepare_published(RECIPES['vimeo90k'], src, dst, ['bi'], allow_partial=True)
        assert [str(p.relative_to(dst)) for p in dst.glob('BIx4/*/*')] == ['BIx4/00001/0001']
        assert len(list((dst / 'BIx4/00001/0001').iterdir())) == 7
        assert not list(dst.glob('meta_info*'))
        done = (dst / 'BIx4/00001/0001/im1.png').stat().st_mtime_ns
        prepare_published(RECIPES['vimeo90k'], src, dst, ['bi'], allow_partial=True)
        assert len(list(dst.glob('BIx4/*/*/*.png'))) == 3 * 7
        assert (dst / 'BIx4/00001/0001/im1.png').stat().st_mtime_ns == done

    def test_processes_do_the_same(self, src, dst, tmp_path):
        standins.vimeo90k(src)
        for workers, root in ((1, dst), (3, tmp_path / 'other')):
            prepare_published(RECIPES['vimeo90k'], src, root, allow_partial=True, workers=workers)
        files = [sorted(p for p in r.rglob('*.png')) for r in (dst, tmp_path / 'other')]
        assert len(files[0]) == len(files[1]) == 2 * 3 * 7
        for one, other in zip(*files, strict=True):
            assert one.read_bytes() == other.read_bytes()

    def test_archives_are_unpacked(self, src, dst, tmp_path, recipe):
        downloads = tmp_path / 'zips'
        downloads.mkdir()
        for kind in ('train_sharp', 'val_sharp', 'train_sharp_bicubic', 'val_sharp_bicubic'):
            split = kind.split('_')[0]
            with zipfile.ZipFile(downloads / f'{kind}.zip', 'w') as archive:
                for path in (src / split / kind).rglob('*.png'):
                    archive.write(path, path.relative_to(src))
        shutil.rmtree(src)
        prepare_published(recipe, downloads, dst)
        assert keys(from_config('reds.py', 'val_dataloader', dst)) == ['000', '011']
        assert (dst / 'train_sharp/000/00000000.png').is_file()

    def test_archives_with_a_dot_in_their_names(self, tmp_path):
        folders = set()
        for name in ('v2.0_train.zip', 'v2.0_test.zip'):
            with zipfile.ZipFile(tmp_path / name, 'w') as archive:
                archive.writestr(name, 'content')
            folders.add(unpack(tmp_path / name, tmp_path / 'dst', tmp_path / 'dst'))
        assert sorted(p.name for folder in folders for p in folder.iterdir()) == [
            'v2.0_test.zip',
            'v2.0_train.zip',
        ]

    def test_tar_archive_given_by_itself(self, src, dst, tmp_path):
        standins.udm10(src)
        archive = shutil.make_archive(str(tmp_path / 'UDM10'), 'gztar', src)
        prepare_published(standins.scaled('udm10', [10], 3), Path(archive), dst)
        assert len(list((dst / 'BDx4').iterdir())) == 10
        data = Path(archive).read_bytes()
        Path(archive).write_bytes(data[: len(data) // 2])
        with pytest.raises(DataError, match=r'UDM10\.tar\.gz is damaged or not complete'):
            prepare_published(RECIPES['udm10'], Path(archive), tmp_path / 'other')

    def test_a_foreign_target_is_not_touched(self, src, dst, recipe):
        standins.write_clip(dst / 'train_sharp/000', ['a.png'])
        with pytest.raises(DataError, match=r'train_sharp/000 exists, but not as a copy'):
            prepare_published(recipe, src, dst)
        assert os.listdir(dst / 'train_sharp/000') == ['a.png']


class TestProblems:
    @pytest.fixture
    def recipe(self, src):
        standins.reds(src)
        return standins.scaled('reds', [3, 3, 3, 3], 3)

    def problems(self, recipe, src, dst):
        with pytest.raises(DataError) as error:
            prepare_published(recipe, src, dst)
        assert not list(dst.glob('meta_info*'))
        assert not list(dst.glob('train_sharp*'))
        return str(error.value)

    def test_all_are_told_at_once(self, src, dst, recipe):
        shutil.rmtree(src / 'train/train_sharp/001')
        (src / 'val/val_sharp/000/00000001.png').unlink()
        cut = src / 'train/train_sharp_bicubic/X4/011/00000002.png'
        cut.write_bytes(cut.read_bytes()[:-20])
        wrong = src / 'val/val_sharp/011/00000000.png'
        shutil.copy(src / 'train/train_sharp_bicubic/X4/000/00000000.png', wrong)
        (src / 'val/val_sharp_bicubic/X4/001/00000002.png').unlink()
        text = self.problems(recipe, src, dst)
        assert 'train_sharp/{clip}: 2 of 3 clips are there; missing: 001' in text
        assert 'val_sharp/000: after number 0' in text or 'val_sharp/000 has 2 frames' in text
        assert f'{cut} is cut off' in text
        assert 'val_sharp/011 has frames of 12x8 instead of 48x32' in text
        assert 'val_sharp_bicubic/X4/001 has 2 frames instead of 3' in text
        assert '--allow-partial' in text

    def test_partial_data_go_on_without_damaged_clips(self, src, dst, recipe, capsys):
        cut = src / 'train/train_sharp_bicubic/X4/011/00000002.png'
        cut.write_bytes(cut.read_bytes()[:-20])
        prepare_published(RECIPES['reds'], src, dst, allow_partial=True)
        assert 'Going on without' in capsys.readouterr().out
        for folder in ('train_sharp', 'train_sharp_bicubic/X4'):
            assert sorted(os.listdir(dst / folder)) == ['000', '001', '240', '241', '251']
        assert keys(from_config('reds.py', 'val_dataloader', dst)) == ['000']

    def test_partial_data_go_on_without_lone_clips(self, src, dst, recipe, capsys):
        shutil.rmtree(src / 'train/train_sharp_bicubic/X4/000')
        (src / 'val/val_sharp/001/00000002.png').unlink()
        prepare_published(RECIPES['reds'], src, dst, allow_partial=True)
        assert '3 clips without their counterpart are left out: 000, 241' in capsys.readouterr().out
        train = from_config('reds.py', 'train_dataloader', dst, num_input_frames=1)
        assert keys(train) == ['001', '240', '251']
        assert keys(from_config('reds.py', 'val_dataloader', dst)) == ['011']

    def test_an_empty_source_is_no_partial_data_set(self, src, dst):
        src.mkdir()
        with pytest.raises(DataError, match='0 of 240 clips'):
            prepare_published(RECIPES['reds'], src, dst, allow_partial=True)

    def test_missing_source(self, src, dst):
        with pytest.raises(DataError, match=r'download does not exist.*train_sharp_bicubic'):
            prepare_published(RECIPES['reds'], src, dst)

    def test_target_inside_the_source(self, src, recipe):
        for dst in (src, src / 'prepared'):
            with pytest.raises(DataError, match='which is only read'):
                prepare_published(recipe, src, dst)

    @pytest.mark.parametrize('kept', [0, 40, -100])
    def test_damaged_archive(self, src, dst, kept):
        src.mkdir()
        with zipfile.ZipFile(src / 'train_sharp.zip', 'w') as archive:
            for i in range(10):
                archive.writestr(f'train_sharp/000/{i:08d}.png', os.urandom(1000))
        data = (src / 'train_sharp.zip').read_bytes()
        (src / 'train_sharp.zip').write_bytes(data[:kept])
        with pytest.raises(DataError, match=r'train_sharp\.zip is damaged or not complete.*again'):
            prepare_published(RECIPES['reds'], src, dst)
        assert not list(dst.glob('.archives/train_sharp'))

    def test_archive_with_a_wrong_checksum(self, src, dst):
        src.mkdir()
        with zipfile.ZipFile(src / 'train_sharp.zip', 'w') as archive:
            archive.writestr('train_sharp/000/00000000.png', bytes(1000))
        data = bytearray((src / 'train_sharp.zip').read_bytes())
        data[500] = 1
        (src / 'train_sharp.zip').write_bytes(data)
        with pytest.raises(DataError, match=r'train_sharp\.zip is damaged'):
            prepare_published(RECIPES['reds'], src, dst)

    def test_yuv_that_is_cut_off(self, src, dst):
        standins.mfqev2(src)
        path = src / 'MFQEv2_dataset/train_108/raw/bus_96x72_3.yuv'
        path.write_bytes(path.read_bytes()[:-7])
        other = src / 'MFQEv2_dataset/test_18/raw/Kimono_96x72_3.yuv'
        other.write_bytes(other.read_bytes()[: 96 * 108])
        text = self.problems(RECIPES['mfqev2'], src, dst)
        assert 'bus_96x72_3.yuv holds 31097 bytes' in text
        assert 'Kimono_96x72_3.yuv has 1 frames instead of 3' in text

    def test_wrong_total(self, src, dst):
        standins.gopro(src)
        text = self.problems(standins.scaled('gopro', [2, 2, 1, 1]), src, dst)
        assert 'train/{clip}/blur: 8 frames are there instead of 2103' in text

    def test_unknown_degradation(self, src, dst, recipe):
        with pytest.raises(DataError, match='bi: this data set has nothing to degrade'):
            prepare_published(recipe, src, dst, ['bi'])


def test_published_counts():
    counts = {name: [part.num_clips for part in recipe.parts] for name, recipe in RECIPES.items()}
    assert counts == dict(
        reds=[240, 30, 240, 30],
        vimeo90k=[64612, 7824],
        vid4=[4],
        udm10=[10],
        gopro=[22, 22, 11, 11],
        dvd=[61, 61, 10, 10],
        mfqev2=[108, 18],
    )
    assert sum(standins.VID4_FRAMES.values()) == 171
    assert len(standins.UDM10_CLIPS) == 10
