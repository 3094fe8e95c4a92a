# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import errno
import multiprocessing
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.videos import write_video
from mmagic.registry import DATASETS
from mmengine import Config

from s2svr_mm.datasets import AverageMotionBlur, BicubicDownsample, CompressVideo
from s2svr_mm.datasets.preparation import prepare_clips
from s2svr_mm.datasets.preparation.own_clips import find_photos
from s2svr_mm.errors import DataError, OutputError
from s2svr_mm.io.clips import find_clips, open_reader
from s2svr_mm.io.images import write_png
from s2svr_mm.utils.files import WORK_FOLDER

CONFIG = Path(__file__).parents[3] / 'configs/_base_/datasets/clips.py'


@pytest.fixture
def src(tmp_path):
    """A video, a folder of frames in a folder, and a raw YUV file."""
    root = tmp_path / 'mine'
    write_video(root / 'walk.mp4', moving_clip(9, 74, 98, seed=0))
    write_frames(root / 'trip/day10', moving_clip(8, 72, 96, seed=1), start=5)
    yuv = np.random.default_rng(0).integers(100, 140, (8, 108, 96), np.uint8)
    (root / 'zoo_96x72_8.yuv').write_bytes(yuv.tobytes())
    return root


@pytest.fixture
def dst(tmp_path):
    return tmp_path / 'data'


def frames(path):
    return [frame.rgb for frame in open_reader(str(path)).iterate()]


class TestPrepareClips:
    def test_layout_of_the_config(self, src, dst):
        prepare_clips(src, dst)
        config = Config.fromfile(CONFIG)
        for loader, keys in (
            ('train_dataloader', ['trip/day10', 'walk']),
            ('val_dataloader', ['zoo_96x72_8']),
        ):
            dataset = config[loader].dataset
            dataset.update(data_root=str(dst), pipeline=[dict(type='LoadClip')])
            dataset = DATASETS.build(dataset)
            assert [dataset[i]['key'] for i in range(len(dataset))] == keys
            assert all(dataset[i]['scale'] == 4 for i in range(len(dataset)))

    def test_frames_are_the_cropped_source_and_its_bicubic(self, src, dst):
        prepare_clips(src, dst)
        source = frames(src / 'walk.mp4')
        expected = BicubicDownsample(4).transform(dict(gt=source))
        for folder, key in (('gt', 'gt'), ('lq', 'img')):
            written = dst / 'train' / folder / 'walk'
            assert sorted(os.listdir(written)) == [f'{i:08d}.png' for i in range(9)]
            np.testing.assert_array_equal(frames(written), expected[key])
        assert expected['gt'][0].shape == (72, 96, 3)

    def test_compression(self, src, dst):
        prepare_clips(src, dst, 'qp37', val=['walk'])
        source = frames(src / 'walk.mp4')
        np.testing.assert_array_equal(frames(dst / 'val/gt/walk'), source)
        expected = CompressVideo(qp=37).transform(dict(gt=source))['img']
        np.testing.assert_array_equal(frames(dst / 'val/lq/walk'), expected)

    def test_halved_clips_are_means_of_four_pixels(self, src, dst):
        prepare_clips(src, dst, 'qp37', val=['trip/day10'], halved=True)
        assert sorted(os.listdir(dst / 'train/gt')) == [
            'walk',
            'walk_half',
            'zoo_96x72_8',
            'zoo_96x72_8_half',
        ]
        assert os.listdir(dst / 'val/gt/trip') == ['day10']
        whole = np.stack(frames(dst / 'train/gt/walk')).astype(float)
        mean = whole.reshape(9, 37, 2, 49, 2, 3).mean((2, 4))
        half = np.stack(frames(dst / 'train/gt/walk_half'))
        assert half.shape == mean.shape
        assert np.abs(half - mean).max() <= 0.5
        expected = CompressVideo(qp=37).transform(dict(gt=list(half)))['img']
        np.testing.assert_array_equal(frames(dst / 'train/lq/walk_half'), expected)

    def test_photos_stand_still_and_become_smaller_by_whole_numbers(self, src, dst, tmp_path):
        picture = np.random.default_rng(0).integers(0, 256, (144, 1932, 3), np.uint8)
        (tmp_path / 'photos/more').mkdir(parents=True)
        write_png(tmp_path / 'photos/more/wide.png', picture)
        write_png(tmp_path / 'photos/small.png', picture[:72, :96])
        prepare_clips(src, dst, 'bd', halved=True, photos=tmp_path / 'photos')
        names = ['photos/more/wide', 'photos/small', 'trip/day10', 'trip/day10_half']
        assert list(find_clips(str(dst / 'train/lq'))) == [*names, 'walk', 'walk_half']
        wide, small = (np.stack(frames(dst / f'train/gt/{name}')) for name in names[:2])
        assert (small == picture[:72, :96]).all()
        mean = picture.astype(float).reshape(48, 3, 644, 3, 3).mean((1, 3))
        assert np.abs(wide - mean).max() <= 0.5
        for config in CONFIG.parents[2].glob('s2svr_s_*.py'):
            dataset = Config.fromfile(config).train_dataloader.dataset
            assert dataset.num_input_frames <= len(wide) == len(small) == 24

    def test_blur_is_that_of_the_whole_clip(self, src, dst):
        prepare_clips(src, dst, 'blur')
        expected = AverageMotionBlur(7).transform(dict(gt=frames(src / 'walk.mp4')))
        assert len(expected['gt']) == 3
        np.testing.assert_array_equal(frames(dst / 'train/gt/walk'), expected['gt'])
        np.testing.assert_array_equal(frames(dst / 'train/lq/walk'), expected['img'])

    def test_a_second_call_goes_on(self, src, dst, monkeypatch):
        from s2svr_mm.datasets.preparation import writing

        write_png, count = writing.write_png, iter(range(1000))

        def full_at_the_30th(path, frame):
            if next(count) == 30:
                raise OSError(errno.ENOSPC, 'No space left on device')
            write_png(path, frame)

        monkeypatch.setattr(writing, 'write_png', full_at_the_30th)
        with pytest.raises(OutputError, match=rf'No space left for {dst}.*same command again'):
            prepare_clips(src, dst)
        assert sorted(p.name for p in dst.glob('*/*/*')) == ['trip', 'trip']
        assert len(frames(dst / 'train/lq/trip/day10')) == 8
        assert not (dst / WORK_FOLDER).exists()
        time = (dst / 'train/gt/trip/day10/00000000.png').stat().st_mtime_ns
        prepare_clips(src, dst)
        assert (dst / 'train/gt/trip/day10/00000000.png').stat().st_mtime_ns == time
        assert len(frames(dst / 'train/lq/walk')) == len(frames(dst / 'train/gt/walk')) == 9

    @pytest.mark.parametrize('kind', ['lq', 'gt'])
    def test_a_folder_that_is_not_ours_is_left_alone(self, src, dst, kind):
        theirs = dst / 'train' / kind / 'walk'
        theirs.mkdir(parents=True)
        (theirs / '00000000.png').write_text('precious')
        (theirs / 'notes.txt').write_text('precious')
        with pytest.raises(OutputError, match=r'walk holds .*which this program did not make'):
            prepare_clips(src, dst)
        assert {p.name: p.read_text() for p in theirs.iterdir()} == {
            '00000000.png': 'precious',
            'notes.txt': 'precious',
        }

    def test_a_clip_that_has_changed_is_made_again(self, src, dst, capsys):
        prepare_clips(src, dst)
        kept = {p: p.stat().st_mtime_ns for p in dst.rglob('*.png') if 'day10' in str(p)}
        changed = src / 'walk.mp4'
        # The same clip at another time is the same, and backwards it is not.
        os.utime(changed, (0, 0))
        prepare_clips(src, dst)
        assert 'has changed' not in capsys.readouterr().err
        backwards = frames(changed)[::-1]
        changed.unlink()
        write_video(changed, np.stack(backwards))
        prepare_clips(src, dst)
        assert f'{changed} has changed' in capsys.readouterr().err
        cropped = [frame[:72, :96] for frame in frames(changed)]
        np.testing.assert_array_equal(frames(dst / 'train/gt/walk'), cropped)
        assert {p: p.stat().st_mtime_ns for p in kept} == kept

    def test_half_a_pair_is_made_again(self, src, dst):
        prepare_clips(src, dst)
        shutil.rmtree(dst / 'train/lq/walk')
        (dst / 'train/gt/walk/00000003.png').unlink()
        prepare_clips(src, dst)
        assert len(frames(dst / 'train/lq/walk')) == len(frames(dst / 'train/gt/walk')) == 9


def prepare_with_small_files_only(src, dst, log):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    try:
        prepare_clips(src, dst)
    except OutputError as error:
        log.put(str(error))


def test_a_write_that_the_system_refuses(src, dst):
    # A limit on the size of files makes the kernel refuse a write, as a full disk does.
    context = multiprocessing.get_context('fork')
    log = context.Queue()
    process = context.Process(target=prepare_with_small_files_only, args=(src, dst, log))
    process.start()
    assert log.get(timeout=60).startswith(f'No space left for {dst}')
    process.join()
    assert not list(dst.rglob('*.png'))
    prepare_clips(src, dst)
    assert len(frames(dst / 'train/lq/walk')) == 9


class TestProblems:
    def test_other_settings(self, src, dst):
        prepare_clips(src, dst)
        with pytest.raises(
            DataError, match=r'prepared with other settings, .*"bi".*; this call has'
        ):
            prepare_clips(src, dst, 'bd')

    def test_unknown_degradation(self, src, dst):
        for name in ('bicubic', 'qp', 'qp99'):
            with pytest.raises(ValueError, match=rf"'{name}' is unknown; it is 'bi', 'bd', 'x2'"):
                prepare_clips(src, dst, name)

    def test_unknown_clip_for_validation(self, src, dst):
        with pytest.raises(DataError, match=r'has no clip run\. It has: trip/day10, walk, zoo'):
            prepare_clips(src, dst, val=['run'])

    def test_name_of_a_half_is_taken(self, src, dst):
        shutil.copy(src / 'walk.mp4', src / 'walk_half.mp4')
        with pytest.raises(DataError, match='has a clip walk_half already'):
            prepare_clips(src, dst, halved=True)

    def test_halved_is_another_setting(self, src, dst):
        prepare_clips(src, dst, halved=True)
        prepare_clips(src, dst, halved=True)
        with pytest.raises(DataError, match='other settings'):
            prepare_clips(src, dst)

    def test_photos_without_photos(self, src, dst, tmp_path):
        with pytest.raises(DataError, match='gone holds no photographs'):
            prepare_clips(src, dst, photos=tmp_path / 'gone')
        assert not dst.exists()

    def test_hidden_files_and_folders_are_no_photos(self, src, dst, tmp_path):
        photos = tmp_path / 'photos'
        (photos / 'set.png').mkdir(parents=True)
        (photos / '.thumbnails').mkdir()
        picture = np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)
        for name in ('set.png/a.png', '.thumbnails/a.png', '._a.png'):
            write_png(photos / name, picture)
        assert find_photos(photos) == {'photos/set.png/a': str(photos / 'set.png/a.png')}

    def test_frames_in_a_folder_named_like_an_image(self, src, dst):
        (src / 'trip/day10').rename(src / 'trip/day10.png')
        prepare_clips(src, dst)
        assert len(frames(dst / 'train/gt/trip/day10.png')) == 8

    def test_photos_of_one_name(self, src, dst, tmp_path):
        for name in ('a.png', 'a.bmp'):
            (tmp_path / name).touch()
        with pytest.raises(DataError, match=r'a\.bmp and .*a\.png would make one clip'):
            prepare_clips(src, dst, photos=tmp_path)

    def test_name_of_a_photo_is_taken(self, src, dst, tmp_path):
        (src / 'trip').rename(src / 'photos')
        (tmp_path / 'day10.png').touch()
        with pytest.raises(DataError, match='a clip photos/day10, as'):
            prepare_clips(src, dst, photos=tmp_path)

    def test_damaged_photo(self, src, dst, tmp_path):
        (tmp_path / 'a.png').write_bytes(b'none')
        with pytest.raises(DataError, match=r'a\.png \(4 bytes\) is truncated'):
            prepare_clips(src, dst, photos=tmp_path)
        assert not (dst / 'train/gt/photos').exists()

    def test_nothing_left_to_train_on(self, src, dst):
        with pytest.raises(DataError, match='none is left'):
            prepare_clips(src, dst, val=['walk', 'trip/day10', 'zoo_96x72_8'])

    def test_one_clip(self, tmp_path, dst):
        write_video(tmp_path / 'one/a.mp4', moving_clip(3, 64, 64))
        with pytest.raises(DataError, match='one holds one clip; one more is needed'):
            prepare_clips(tmp_path / 'one', dst)

    def test_no_folder(self, tmp_path, dst):
        with pytest.raises(DataError, match=r'gone is not a folder\. Give one that holds videos'):
            prepare_clips(tmp_path / 'gone', dst)

    def test_target_inside_the_source(self, src):
        with pytest.raises(DataError, match='only read'):
            prepare_clips(src, src / 'data')

    def test_mixed_sizes(self, src, dst):
        write_frames(src / 'trip/day10', moving_clip(1, 64, 96), start=9)
        with pytest.raises(DataError, match=r'day10.0*9\.png .* 96x64, but the first one is 96x72'):
            prepare_clips(src, dst)
        assert not list(dst.glob('*/*/*/*'))

    def test_damaged_frame(self, src, dst):
        path = src / 'trip/day10/00000007.png'
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(DataError, match=r'00000007\.png .*truncated'):
            prepare_clips(src, dst, workers=2)
        assert not (dst / 'train/gt/trip').exists()

    def test_too_short_to_blur(self, src, dst):
        write_video(src / 'short.mp4', moving_clip(6, 64, 64))
        with pytest.raises(DataError, match=r'short\.mp4 has fewer frames than the 7'):
            prepare_clips(src, dst, 'blur')
