# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import shutil

import numpy as np
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.videos import write_video
from PIL import Image

from s2svr_mm.errors import DataError
from s2svr_mm.io.clips import (
    check_numbering,
    find_clips,
    locate_clip,
    natural_key,
    open_folder,
    open_reader,
)
from s2svr_mm.io.images import AnimationReader
from s2svr_mm.io.video import VideoReader


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'x')
    return str(root)


class TestFindClips:
    def test_folders_videos_and_raw_files_at_any_depth(self, tmp_path):
        root = touch(
            tmp_path,
            *['scene10/a.png', 'scene9/a.png', 'deep/00001/0266/im1.png'],
            *['walk.MP4', 'city_16x16_2.yuv', 'notes.txt', '.cache/x.png'],
        )
        assert find_clips(root) == {
            'city_16x16_2': f'{root}/city_16x16_2.yuv',
            'deep/00001/0266': f'{root}/deep/00001/0266',
            'scene9': f'{root}/scene9',
            'scene10': f'{root}/scene10',
            'walk': f'{root}/walk.MP4',
        }
        assert list(find_clips(root))[2:4] == ['scene9', 'scene10']

    def test_a_folder_of_frames_is_one_clip(self, tmp_path):
        root = touch(tmp_path, 'a.png', 'b.png')
        assert find_clips(root) == {'clip': root}

    def test_a_video_is_one_clip(self, tmp_path):
        touch(tmp_path, 'a.mp4')
        assert find_clips(f'{tmp_path}/a.mp4') == {'clip': f'{tmp_path}/a.mp4'}

    def test_links_are_followed(self, tmp_path):
        touch(tmp_path, 'real/a.png')
        (tmp_path / 'set').mkdir()
        (tmp_path / 'set/clip1').symlink_to(tmp_path / 'real')
        assert list(find_clips(str(tmp_path / 'set'))) == ['clip1']

    def test_a_link_that_leads_back_is_followed_once(self, tmp_path):
        touch(tmp_path, 'a/0.png', 'deep/b/0.png')
        (tmp_path / 'loop').symlink_to('.')
        (tmp_path / 'deep/up').symlink_to(tmp_path)
        (tmp_path / 'nowhere').symlink_to('gone')
        (tmp_path / 'self').symlink_to('self')
        with pytest.warns(UserWarning, match='leads back'):
            assert list(find_clips(str(tmp_path))) == ['a', 'deep/b']

    def test_what_a_file_holds_counts_not_its_ending(self, tmp_path):
        video = write_video(tmp_path / 'a.mp4', moving_clip(2, 32, 32))
        for name in ('cam.MTS', 'b.tod', 'c.mkv.bak', 'd.movie'):
            shutil.copy(video, tmp_path / name)
        touch(tmp_path, 'notes.doc', 'list.txt', 'sound.mp3')
        with pytest.warns(UserWarning, match=r'Left out of .*: .*notes\.doc, .*sound\.mp3') as told:
            clips = find_clips(str(tmp_path))
        assert list(clips) == ['a', 'b', 'c.mkv', 'cam', 'd']
        assert 'list.txt' not in str(told[0].message)
        assert len(open_reader(clips['cam'])) == 2

    def test_animated_images_are_clips_and_stills_are_frames(self, tmp_path):
        pictures = [Image.fromarray(frame) for frame in moving_clip(3, 16, 16)]
        for name in ('a.webp', 'b.webp'):
            pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
        assert list(find_clips(str(tmp_path))) == ['a', 'b']
        stills = tmp_path / 'stills'
        stills.mkdir()
        for i, picture in enumerate(pictures):
            picture.save(stills / f'{i}.webp')
        assert find_clips(str(stills)) == {'clip': str(stills)}

    def test_folders_whose_names_look_like_files(self, tmp_path):
        write_frames(tmp_path / 'take.mp4', moving_clip(2, 8, 8))
        write_frames(tmp_path / 'v1.2.yuv', moving_clip(3, 8, 8))
        clips = find_clips(str(tmp_path))
        assert list(clips) == ['take.mp4', 'v1.2.yuv']
        assert [len(open_reader(path)) for path in clips.values()] == [2, 3]

    def test_the_folder_that_one_is_in(self, tmp_path, monkeypatch):
        write_video(tmp_path / 'x/a.mp4', moving_clip(2, 32, 32))
        monkeypatch.chdir(tmp_path / 'x')
        assert list(find_clips('.')) == ['a']
        assert list(find_clips('..')) == ['x/a']

    def test_nothing_found(self, tmp_path):
        with pytest.raises(DataError, match=rf'{tmp_path} holds no clips'):
            find_clips(touch(tmp_path, 'a.txt', 'sub/b.txt'))
        with pytest.raises(DataError, match=rf'{tmp_path}/gone does not exist'):
            find_clips(str(tmp_path / 'gone'))

    def test_two_clips_of_one_name(self, tmp_path):
        with pytest.raises(DataError, match=r'Two clips are called "a"'):
            find_clips(touch(tmp_path, 'a/1.png', 'a.mp4'))

    def test_frames_beside_clips(self, tmp_path):
        with pytest.raises(DataError, match='both frames and further clips'):
            find_clips(touch(tmp_path, 'preview.png', 'a/1.png'))


class TestOpenFolder:
    def test_natural_order(self, tmp_path):
        root = touch(tmp_path, *[f'im{i}.png' for i in range(1, 13)], '._im1.png', 'Thumbs.db')
        clip = open_folder(root)
        assert clip.names == tuple(f'im{i}.png' for i in range(1, 13))
        assert len(clip) == 12
        assert clip.files()[10] == f'{root}/im11.png'

    @pytest.mark.parametrize(
        'names',
        [
            ['0000.png', '0001.png', '0003.png', '0004.png'],
            ['im1.png', 'im2.png', 'im4.png'],
            ['f_000010_x.png', 'f_000020_x.png', 'f_000040_x.png'],
            ['8.png', '9.png', '10.png', '12.png'],
        ],
    )
    def test_missing_number(self, tmp_path, names):
        with pytest.raises(DataError, match=rf'{tmp_path}: after number .* Put the missing'):
            open_folder(touch(tmp_path, *names))

    @pytest.mark.parametrize(
        'names',
        [
            ['a.png', 'b.png', 'e.png'],
            ['07.png', '14.png', '21.png'],
            ['1403636579763.png', '1403636579813.png', '1403636579861.png', '1403636579914.png'],
            ['2.png'],
            ['left1.png', 'left2.png', 'right1.png'],
        ],
    )
    def test_names_that_need_not_be_numbered_in_steps(self, names):
        check_numbering('folder', names)

    def test_one_frame_in_two_files(self, tmp_path):
        with pytest.raises(DataError, match=r'one frame twice: 1\.jpg and 1\.png'):
            open_folder(touch(tmp_path, '1.jpg', '1.png', '2.png'))

    def test_empty_folder(self, tmp_path):
        with pytest.raises(DataError, match=f'{tmp_path} holds no frames'):
            open_folder(str(tmp_path))


class TestLocateClip:
    def test_by_name_with_any_ending_in_any_case(self, tmp_path):
        write_video(tmp_path / 'park.MP4', moving_clip(2, 32, 32))
        shutil.copy(tmp_path / 'park.MP4', tmp_path / 'sea.TOD')
        touch(tmp_path, 'a/b/0.png', 'park.txt')
        root = str(tmp_path)
        assert locate_clip(root, 'park') == f'{root}/park.MP4'
        assert locate_clip(root, 'park.MP4') == f'{root}/park.MP4'
        assert locate_clip(root, 'sea') == f'{root}/sea.TOD'
        assert locate_clip(root, 'a/b') == f'{root}/a/b'
        with pytest.raises(DataError, match='no clip "hill"'):
            locate_clip(root, 'hill')

    def test_two_of_one_name(self, tmp_path):
        for suffix in ('mp4', 'mkv'):
            write_video(tmp_path / f'a.{suffix}', moving_clip(2, 32, 32))
        with pytest.raises(DataError, match='several clips "a"'):
            locate_clip(str(tmp_path), 'a')


class TestOpenReader:
    def test_by_content(self, tmp_path):
        video = write_video(tmp_path / 'a.mp4', moving_clip(2, 32, 32))
        os.replace(video, tmp_path / 'a')
        assert isinstance(open_reader(str(tmp_path / 'a')), VideoReader)
        pictures = [Image.fromarray(frame) for frame in moving_clip(3, 16, 16)]
        pictures[0].save(tmp_path / 'b.png', save_all=True, append_images=pictures[1:])
        os.replace(tmp_path / 'b.png', tmp_path / 'b.anim')
        assert isinstance(open_reader(str(tmp_path / 'b.anim')), AnimationReader)

    @pytest.mark.parametrize('folder', ['take[1]', 'what?', 'all*'])
    def test_a_folder_of_a_pattern_is_taken_by_its_very_name(self, tmp_path, folder):
        clip = moving_clip(3, 8, 8)
        write_frames(tmp_path / folder, clip)
        write_frames(tmp_path / 'take1', clip[:1])
        reader = open_reader(str(tmp_path / folder / '*.png'))
        assert len(reader) == 3
        np.testing.assert_array_equal(reader.read([2])[0].rgb, clip[2])

    def test_patterns_of_folders(self, tmp_path):
        for name in ('a1', 'a2'):
            write_frames(tmp_path / name, moving_clip(2, 8, 8))
        reader = open_reader(str(tmp_path / 'a?/*.png'))
        assert [frame.name for frame in reader.iterate()] == [f'{i:08d}' for i in range(4)]

    def test_a_folder_of_videos_says_what_to_do(self, tmp_path):
        write_video(tmp_path / 'a.mp4', moving_clip(2, 32, 32))
        with pytest.raises(DataError, match=r'holds no frames, but clips. Give one.*a\.mp4'):
            open_reader(str(tmp_path))

    @pytest.mark.parametrize('name', ['gone.mp4', 'gone', 'gone/*.png'])
    def test_what_is_not_there(self, tmp_path, name):
        with pytest.raises(DataError, match='gone'):
            open_reader(str(tmp_path / name))

    def test_text_is_no_video(self, tmp_path):
        for name in ('a.txt', 'a.mp4', 'a.nfo'):
            (tmp_path / name).write_text('nothing but words\n' * 40)
            with pytest.raises(DataError, match=name):
                open_reader(str(tmp_path / name)).read([0])

    def test_a_reader_survives_pickling(self, tmp_path):
        import pickle

        write_video(tmp_path / 'a.mp4', moving_clip(3, 32, 32))
        write_frames(tmp_path / 'b', moving_clip(3, 8, 8))
        (tmp_path / 'c_16x16_2.yuv').write_bytes(bytes(768))
        for name in ('a.mp4', 'b', 'c_16x16_2.yuv'):
            reader = open_reader(str(tmp_path / name))
            copy = pickle.loads(pickle.dumps(reader))
            np.testing.assert_array_equal(copy.read([1])[0].rgb, reader.read([1])[0].rgb)


@pytest.mark.parametrize('name', ['²1.png', '①2.png', '१.png', '007', '', '1²2'])
def test_natural_key_takes_any_name(name):
    assert sorted([name, 'im10.png', 'im9.png'], key=natural_key).index('im9.png') < sorted(
        [name, 'im10.png', 'im9.png'], key=natural_key
    ).index('im10.png')


def test_a_glob_of_videos_is_no_clip(tmp_path):
    write_video(tmp_path / 'a.mp4', moving_clip(2, 16, 16))
    with pytest.raises(DataError, match=r'matches no image files, but .*a\.mp4: give one video at'):
        open_reader(str(tmp_path / '*.mp4'))
    with pytest.raises(DataError, match=r'\*\.mov matches no image files\.'):
        open_reader(str(tmp_path / '*.mov'))
