# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest

from s2svr_mm.errors import DataError
from s2svr_mm.io.clips import check_numbering, find_clips, open_folder


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

    def test_nothing_found(self, tmp_path):
        with pytest.raises(DataError, match=rf'{tmp_path} holds no clips'):
            find_clips(touch(tmp_path, 'a.txt', 'sub/b.txt'))

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
