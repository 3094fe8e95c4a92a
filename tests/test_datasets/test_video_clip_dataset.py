# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import pickle
import shutil
from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.videos import break_packet, write_video
from mmagic.registry import DATASETS
from torch.utils.data import DataLoader

from s2svr_mm.datasets import VideoClipDataset
from s2svr_mm.errors import DataError


def build(root, **kwargs):
    kwargs = {'data_prefix': dict(img='lq', gt='gt'), **kwargs}
    return DATASETS.build(dict(type='VideoClipDataset', data_root=str(root), **kwargs))


def numbers(sample, name='gt'):
    return [int(os.path.splitext(os.path.basename(path))[0]) for path in sample[f'{name}_path']]


class TestSamples:
    def test_whole_clips_with_the_keys_of_mmagic(self, clip_pairs):
        dataset = build(clip_pairs(num_frames=4), test_mode=True)
        assert len(dataset) == 2
        sample = dataset[1]
        assert sample['key'] == '001'
        assert sample['sequence_length'] == sample['num_input_frames'] == 4
        assert numbers(sample, 'img') == numbers(sample) == [0, 1, 2, 3]
        assert sample['img_path'][2].endswith('/lq/001/00000002.png')
        assert sample['gt_path'][2].endswith('/gt/001/00000002.png')

    def test_random_pieces_cover_the_clip_and_both_sides_agree(self, clip_pairs):
        root = clip_pairs(names=['a'], num_frames=9, height=8, width=8)
        dataset = build(root, num_input_frames=3, interval_list=[1, 2], reverse_ratio=0.5)
        np.random.seed(0)
        seen = Counter()
        for _ in range(400):
            sample = dataset[0]
            assert numbers(sample) == numbers(sample, 'img')
            seen[tuple(numbers(sample))] += 1
        forward = [(i, i + 1, i + 2) for i in range(7)] + [(i, i + 2, i + 4) for i in range(5)]
        assert set(seen) == {*forward, *(piece[::-1] for piece in forward)}
        backward = sum(count for piece, count in seen.items() if piece[0] > piece[-1])
        assert 150 < backward < 250

    def test_the_same_seed_gives_the_same_pieces(self, clip_pairs):
        root = clip_pairs(names=['a'], num_frames=9, height=8, width=8)
        dataset = build(root, num_input_frames=3, interval_list=[1, 2], reverse_ratio=0.5)
        runs = []
        for _ in range(2):
            np.random.seed(3)
            runs.append([numbers(dataset[0]) for _ in range(20)])
        assert runs[0] == runs[1]

    def test_test_mode_draws_nothing(self, clip_pairs):
        dataset = build(
            clip_pairs(names=['a'], num_frames=9, height=8, width=8),
            num_input_frames=4,
            interval_list=[2],
            reverse_ratio=1.0,
            test_mode=True,
        )
        for _ in range(5):
            assert numbers(dataset[0]) == [0, 1, 2, 3]

    def test_centre_frame_as_ground_truth(self, clip_pairs):
        dataset = build(
            clip_pairs(names=['a'], num_frames=7, height=8, width=8),
            gt_frames='center',
            test_mode=True,
        )
        assert numbers(dataset[0]) == [3]
        assert numbers(dataset[0], 'img') == list(range(7))

    def test_ground_truth_alone(self, clip_pairs):
        dataset = build(
            clip_pairs(num_frames=3, height=16, width=16),
            data_prefix=dict(gt='gt'),
            test_mode=True,
            pipeline=[dict(type='LoadClip'), dict(type='BicubicDownsample', scale=4)],
        )
        sample = dataset[0]
        assert sample['gt'][0].shape == (16, 16, 3)
        assert sample['img'][0].shape == (4, 4, 3)
        assert sample['scale'] == 4

    def test_folders_videos_and_raw_files_mix(self, tmp_path):
        frames = moving_clip(3, 64, 64)
        write_frames(tmp_path / 'lq/a', frames)
        write_video(tmp_path / 'gt/a.mp4', frames, options={'crf': '5'})
        write_video(tmp_path / 'lq/b_64x64_3.mkv', frames)
        (tmp_path / 'gt/b_64x64_3.yuv').write_bytes(bytes(3 * 64 * 96))
        dataset = build(tmp_path, test_mode=True, pipeline=[dict(type='LoadClip')])
        for sample in (dataset[0], dataset[1]):
            assert [f.shape for f in sample['img'] + sample['gt']] == [(64, 64, 3)] * 6
        assert np.abs(dataset[0]['gt'][2].astype(int) - frames[2]).mean() < 8

    def test_two_folders_of_frames_are_one_clip(self, tmp_path):
        write_frames(tmp_path / 'lq', moving_clip(3, 8, 8))
        write_frames(tmp_path / 'gt', moving_clip(3, 32, 32), start=100)
        dataset = build(tmp_path, test_mode=True, pipeline=[dict(type='LoadClip')])
        assert len(dataset) == 1
        assert dataset[0]['scale'] == 4

    def test_raw_files_of_a_given_size(self, tmp_path):
        for folder in ('lq', 'gt'):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / 'a.yuv').write_bytes(bytes(2 * 24 * 48))
        dataset = build(
            tmp_path, yuv_size=(32, 24), test_mode=True, pipeline=[dict(type='LoadClip')]
        )
        assert [frame.shape for frame in dataset[0]['img']] == [(24, 32, 3)] * 2


class TestClipList:
    @pytest.mark.parametrize(
        'text',
        [
            '001\n',
            '001 5\n\n',
            '001 5 (720,1280,3)\n',
            ''.join(f'001/{i:08d}.png (720, 1280, 3)\n' for i in range(5)),
        ],
    )
    def test_formats_of_mmagic(self, clip_pairs, text):
        root = clip_pairs(num_frames=5, height=8, width=8)
        (root / 'list.txt').write_text(text)
        dataset = build(root, ann_file='list.txt', test_mode=True)
        assert [dataset[i]['key'] for i in range(len(dataset))] == ['001']

    def test_nested_keys(self, clip_pairs):
        root = clip_pairs(names=['00001/0266', '00001/0268'], num_frames=7, height=8, width=8)
        (root / 'list.txt').write_text('00001/0268 (256, 448, 3)\n')
        dataset = build(root, ann_file='list.txt')
        assert [dataset[i]['key'] for i in range(len(dataset))] == ['00001/0268']

    def test_length_is_checked(self, clip_pairs):
        root = clip_pairs(num_frames=5, height=8, width=8)
        (root / 'list.txt').write_text('001 100 (720,1280,3)\n')
        with pytest.raises(DataError, match=r'lq/001 has 5 frames where .*list\.txt lists 100'):
            build(root, ann_file='list.txt')

    def test_unknown_clip(self, clip_pairs):
        root = clip_pairs(num_frames=5, height=8, width=8)
        (root / 'list.txt').write_text('007\n')
        with pytest.raises(DataError, match='lq has no clip "007"'):
            build(root, ann_file='list.txt')

    def test_empty_list(self, clip_pairs):
        root = clip_pairs(num_frames=5, height=8, width=8)
        (root / 'list.txt').write_text('\n')
        with pytest.raises(DataError, match=r'list\.txt is empty'):
            build(root, ann_file='list.txt')

    @pytest.mark.parametrize(
        ('line', 'key', 'encoding'),
        [
            ('beach day 10', 'beach day', 'utf-8'),
            ('beach day', 'beach day', 'utf-8'),
            ('beach day\t10 # good light', 'beach day', 'utf-8'),
            ('park', 'park', 'utf-8'),
            ('park.MP4 8', 'park.MP4', 'utf-8'),
            ('plain', 'plain', 'utf-8-sig'),
            ('plain\t10', 'plain', 'utf-8'),
            ('# all that we have\n\n  plain 10  \n', 'plain', 'utf-8'),
            ('plain 10\r\n', 'plain', 'utf-16'),
            ('no 1 10', 'no 1', 'utf-8'),
            ('beach day/00000003.png (72, 96, 3)', 'beach day', 'utf-8'),
        ],
    )
    def test_lists_that_people_write(self, tmp_path, line, key, encoding):
        for name in ('beach day', 'plain', 'no', 'no 1'):
            write_frames(tmp_path / 'gt' / name, moving_clip(10, 8, 8))
        write_video(tmp_path / 'gt/park.MP4', moving_clip(8, 32, 32))
        (tmp_path / 'list.txt').write_bytes(line.encode(encoding))
        dataset = build(tmp_path, data_prefix=dict(gt='gt'), ann_file='list.txt', test_mode=True)
        assert [dataset[i]['key'] for i in range(len(dataset))] == [key]


class TestFlawedClips:
    def test_frames_that_are_numbered_apart_are_told(self, tmp_path):
        write_frames(tmp_path / 'lq/a', moving_clip(3, 8, 8), start=0)
        write_frames(tmp_path / 'gt/a', moving_clip(3, 32, 32), start=1)
        with pytest.warns(UserWarning, match=r'numbered from 0, those of .* from 1, 1 apart'):
            build(tmp_path)

    @pytest.fixture
    def damaged(self, tmp_path):
        """A video whose frame 5 is broken; groups have 4 frames."""
        options = {'bf': '0', 'qmin': '1', 'qmax': '1', 'sc_threshold': '1000000000'}
        path = write_video(tmp_path / 'gt/a.mp4', moving_clip(12, 64, 64), 'mpeg4', options)
        break_packet(path, 5)
        return tmp_path

    def test_a_damaged_video_is_taken_with_a_warning(self, damaged):
        dataset = build(
            damaged,
            data_prefix=dict(gt='gt'),
            test_mode=True,
            pipeline=[dict(type='LoadClip')],
        )
        with pytest.warns(UserWarning, match=r'a\.mp4 is damaged: 1 frame damaged and concealed'):
            sample = dataset[0]
        assert len(sample['gt']) == 12

    def test_or_refused(self, damaged):
        dataset = build(
            damaged,
            data_prefix=dict(gt='gt'),
            strict=True,
            test_mode=True,
            pipeline=[dict(type='LoadClip')],
        )
        with pytest.raises(DataError, match=r'a\.mp4: frame 5 is damaged'):
            dataset[0]

    def test_a_video_that_is_cut_off_is_told_when_the_data_set_is_built(self, tmp_path):
        path = write_video(tmp_path / 'gt/a.mkv', moving_clip(12, 64, 64))
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.warns(UserWarning, match=r'a\.mkv is damaged: .*cut off'):
            build(tmp_path, data_prefix=dict(gt='gt'))
        with pytest.raises(DataError, match='cut off'):
            build(tmp_path, data_prefix=dict(gt='gt'), strict=True)

    def test_interlaced_footage_never_becomes_ground_truth(self, tmp_path):
        write_video(tmp_path / 'gt/a.mkv', moving_clip(3, 32, 32), options={'x264-params': 'tff=1'})
        dataset = build(
            tmp_path, data_prefix=dict(gt='gt'), pipeline=[dict(type='LoadClip')], test_mode=True
        )
        with pytest.raises(DataError, match='interlaced'):
            dataset[0]


class TestWrongData:
    @pytest.mark.parametrize('prefix', [dict(img='lq', gt='gt'), dict(gt='gt')])
    def test_missing_folder_names_the_command(self, tmp_path, prefix):
        with pytest.raises(DataError) as error:
            build(tmp_path / 'REDS', data_prefix=prefix, prepare='reds')
        assert str(tmp_path / 'REDS' / next(iter(prefix.values()))) in str(error.value)
        assert f's2svr prepare-data reds --src DOWNLOADED --dst {tmp_path}' in str(error.value)

    def test_missing_list_names_the_command(self, clip_pairs):
        root = clip_pairs(num_frames=2, height=8, width=8)
        with pytest.raises(DataError, match=r'list\.txt does not exist\. Prepare'):
            build(root, ann_file='list.txt', prepare='reds')

    def test_missing_folder_of_own_data(self, tmp_path):
        with pytest.raises(DataError, match=r'lq does not exist\. Correct data_root'):
            build(tmp_path)

    def test_empty_folder(self, clip_pairs):
        root = clip_pairs(num_frames=2, height=8, width=8)
        shutil.rmtree(root / 'lq/000')
        shutil.rmtree(root / 'lq/001')
        with pytest.raises(DataError, match=r'lq holds no clips'):
            build(root)

    def test_clip_on_one_side_alone(self, clip_pairs):
        root = clip_pairs(num_frames=2, height=8, width=8)
        shutil.rmtree(root / 'lq/001')
        with pytest.raises(DataError, match=r'1 clips are in .*gt but not in .*lq: 001'):
            build(root)

    def test_different_lengths(self, clip_pairs):
        root = clip_pairs(num_frames=3, height=8, width=8)
        (root / 'lq/001/00000002.png').unlink()
        with pytest.raises(DataError, match=r'"001" has 2 frames in .*lq/001 but 3 in .*gt/001'):
            build(root)

    def test_missing_number(self, clip_pairs):
        root = clip_pairs(num_frames=4, height=8, width=8)
        for folder in ('lq', 'gt'):
            (root / folder / '000/00000001.png').unlink()
        with pytest.raises(DataError, match=r'lq/000: after number 0.* comes 2'):
            build(root)

    def test_clip_shorter_than_asked_for(self, clip_pairs):
        root = clip_pairs(num_frames=5, height=8, width=8)
        with pytest.raises(DataError, match=r'000 has 5 frames, but num_input_frames=4 .*needs 7'):
            build(root, num_input_frames=4, interval_list=[1, 2])
        build(root, num_input_frames=3, interval_list=[1, 2])

    @pytest.mark.parametrize(
        'kwargs',
        [
            dict(data_prefix=dict(lq='lq')),
            dict(data_prefix=dict()),
            dict(num_input_frames=0),
            dict(interval_list=[]),
            dict(interval_list=[0]),
            dict(gt_frames='middle'),
        ],
    )
    def test_wrong_arguments(self, clip_pairs, kwargs):
        with pytest.raises(ValueError, match='got'):
            build(clip_pairs(num_frames=2, height=8, width=8), **kwargs)


class TestReading:
    def test_nothing_is_listed_after_building(self, clip_pairs, monkeypatch):
        dataset = build(clip_pairs(num_frames=3), pipeline=[dict(type='LoadClip')])

        def refuse(*args, **kwargs):
            raise AssertionError('a folder is listed again')

        for name in ('scandir', 'listdir', 'walk'):
            monkeypatch.setattr(os, name, refuse)
        assert len(dataset[0]['img']) == 3

    def test_a_large_data_set_stays_small_in_memory(self, clip_pairs):
        dataset = build(clip_pairs(num_frames=7, height=8, width=8))
        copy = pickle.loads(pickle.dumps(dataset))
        assert copy[1]['gt_path'] == dataset[1]['gt_path']
        assert len(pickle.dumps(dataset)) < 10_000

    @pytest.mark.parametrize('method', ['fork', pytest.param('spawn', marks=pytest.mark.slow)])
    def test_workers_read_videos(self, tmp_path, method):
        for i in range(3):
            write_video(tmp_path / f'gt/{i}.mp4', moving_clip(6, 32, 32, seed=i))
        dataset = VideoClipDataset(dict(gt='gt'), str(tmp_path), test_mode=True)
        dataset.pipeline.transforms.append(Stack())
        expected = [dataset[i] for i in range(3)]
        loader = DataLoader(dataset, None, num_workers=2, multiprocessing_context=method)
        for frames, wanted in zip(loader, expected, strict=True):
            assert torch.equal(frames, wanted)

    def test_damage_reaches_the_main_process_by_name(self, clip_pairs):
        root = clip_pairs(num_frames=3)
        path = root / 'lq/001/00000001.png'
        path.write_bytes(path.read_bytes()[:-100])
        dataset = build(root, test_mode=True, pipeline=[dict(type='LoadClip')])
        loader = DataLoader(dataset, None, num_workers=1)
        with pytest.raises(DataError, match=r'lq/001/00000001\.png .*truncated'):
            list(loader)

    def test_odd_frame_inside_a_clip(self, clip_pairs):
        root = clip_pairs(num_frames=3)
        cv2.imwrite(str(root / 'lq/000/00000001.png'), np.zeros((16, 15, 3), np.uint8))
        dataset = build(root, test_mode=True, pipeline=[dict(type='LoadClip')])
        with pytest.raises(DataError, match=r'00000001\.png is 15x16, while .*00000000\.png'):
            dataset[0]


class Stack:
    """Load the frames and stack them (a class, so that spawned workers can import it)."""

    def __call__(self, sample: dict) -> torch.Tensor:
        frames = sample['gt_clip'].read(sample['gt_indices'])
        return torch.from_numpy(np.stack([frame.rgb for frame in frames]))


def test_basic_frames_dataset_of_mmagic_reads_the_same_layout(clip_pairs):
    root = clip_pairs(num_frames=4)
    theirs = DATASETS.build(
        dict(
            type='BasicFramesDataset',
            data_root=str(root),
            data_prefix=dict(img='lq', gt='gt'),
            depth=1,
            pipeline=[
                dict(type='GenerateSegmentIndices', interval_list=[1]),
                dict(type='LoadClip'),
            ],
        )
    )
    ours = build(root, test_mode=True, pipeline=[dict(type='LoadClip')])
    for i in range(2):
        assert theirs[i]['key'] == ours[i]['key']
        for name in ('img', 'gt'):
            np.testing.assert_array_equal(theirs[i][name], ours[i][name])
