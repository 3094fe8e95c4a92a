# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What published data sets consist of, and the layout that the configs expect of them.

Folders are written as patterns in which ``{clip}`` stands for a clip's name, e.g.
``train/{clip}/blur``. Counts and sizes are the published ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

REDS4 = frozenset(['000', '011', '015', '020'])
VID4_FRAMES = dict(calendar=41, city=34, foliage=49, walk=47)
UDM10_CLIPS = frozenset(['archpeople', 'archwall', 'auditorium', 'band', 'caffe']).union(
    ['camera', 'clap', 'lake', 'photography', 'polyflow']
)
# github.com/shuochsu/DeepVideoDeblurring, issue 2
DVD_TEST = frozenset(['720p_240fps_2', 'IMG_0003', 'IMG_0021', 'IMG_0030', 'IMG_0031']).union(
    ['IMG_0032', 'IMG_0033', 'IMG_0037', 'IMG_0039', 'IMG_0049']
)


@dataclass(frozen=True)
class ClipList:
    """A list of clips for ``ann_file``, in mmagic's formats.

    Attributes:
        file (str): Its name.
        style (str): A line for each clip: 'size' writes ``00001/0266 (256, 448, 3)``, 'count'
            ``walk 47``; a line for each frame: 'frames' writes ``000/00000000.png (720, 1280, 3)``.
        only (frozenset[str]): Clips to list; empty for all.
        without (frozenset[str]): Clips to leave out.
    """

    file: str
    style: str
    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Part:
    """Clips that are taken over as they are.

    Attributes:
        sources (tuple[str, ...]): Where they may lie in the download, most likely place first.
        target (str): Where they go.
        num_clips (int): Published number of clips.
        num_frames (int | Mapping[str, int], optional): Frames of every clip, or of each by name.
        total_frames (int, optional): Frames of all clips together.
        size (tuple[int, int], optional): (height, width) of every frame.
        only (frozenset[str]): Clips that belong to this part; empty for all.
        without (frozenset[str]): Clips that do not.
        listed_in (str): A file beside the clips' folder that lists those of this part.
        number_offset (int): Added to the clips' numbers, which are their names.
        frame_name (str): Format of the frames' new names, with the frame's number; empty to keep
            the names.
        lists (tuple[ClipList, ...]): Lists that these clips go into, by their new names.
    """

    sources: tuple[str, ...]
    target: str
    num_clips: int
    num_frames: int | Mapping[str, int] | None = None
    total_frames: int | None = None
    size: tuple[int, int] | None = None
    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    listed_in: str = ''
    number_offset: int = 0
    frame_name: str = ''
    lists: tuple[ClipList, ...] = ()


@dataclass(frozen=True)
class DegradedPart:
    """Clips that are made from those of a :class:`Part`, unless the download has them.

    Attributes:
        degradation (str): A name that :mod:`.degradations` knows.
        base (str): The part's ``target``.
        target (str): Where they go.
        sources (tuple[str, ...]): Where a published version may lie in the download.
    """

    degradation: str
    base: str
    target: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A published data set.

    Attributes:
        title (str): Its name and where it is published.
        parts (tuple[Part, ...]): What is taken over.
        degraded (tuple[DegradedPart, ...]): What is made from it.
        default_degradations (tuple[str, ...]): Which of them are made unless told otherwise.
        pairs (tuple[tuple[str, str], ...]): Targets of parts whose clips belong together.
    """

    title: str
    parts: tuple[Part, ...]
    degraded: tuple[DegradedPart, ...] = ()
    default_degradations: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def _reds(kind: str, size: tuple[int, int], lists: tuple[ClipList, ...] = ()) -> tuple[Part, ...]:
    """Training clips, and validation clips numbered after them as mmagic and BasicSR do."""
    training, validation = (
        Part(
            sources=(f'{split}_{kind}/{{clip}}',),
            target=f'train_{kind}/{{clip}}',
            num_clips=num_clips,
            num_frames=100,
            size=size,
            number_offset=offset,
            lists=lists,
        )
        for split, num_clips, offset in (('train', 240, 0), ('val', 30, 240))
    )
    return training, validation


def _mfqev2_degraded(qp: int) -> tuple[DegradedPart, ...]:
    return tuple(
        DegradedPart(
            degradation=f'qp{qp}',
            base=f'{split}/GT/{{clip}}.yuv',
            target=f'{split}/QP{qp}/{{clip}}.yuv',
            sources=(f'{download}/HM16.5_LDP/QP{qp}/{{clip}}.yuv',),
        )
        for split, download in (('train', 'train_108'), ('test', 'test_18'))
    )


_BLUR_PAIRS = tuple(
    (f'{split}/blur/{{clip}}', f'{split}/sharp/{{clip}}') for split in ('train', 'test')
)

RECIPES: dict[str, Recipe] = {
    'reds': Recipe(
        title='REDS (seungjunnah.github.io/Datasets/reds): train_sharp, train_sharp_bicubic, '
        'val_sharp and val_sharp_bicubic',
        parts=(
            *_reds(
                'sharp',
                (720, 1280),
                (
                    ClipList('meta_info_REDS_GT.txt', 'frames'),
                    ClipList('meta_info_reds4_train.txt', 'frames', without=REDS4),
                    ClipList('meta_info_reds4_val.txt', 'frames', only=REDS4),
                ),
            ),
            *_reds('sharp_bicubic/X4', (180, 320)),
        ),
        pairs=(('train_sharp/{clip}', 'train_sharp_bicubic/X4/{clip}'),),
    ),
    'vimeo90k': Recipe(
        title='Vimeo-90K septuplets (toflow.csail.mit.edu): vimeo_septuplet',
        parts=tuple(
            Part(
                sources=('sequences/{clip}',),
                target='GT/{clip}',
                num_clips=num_clips,
                num_frames=7,
                size=(256, 448),
                listed_in=f'sep_{split}list.txt',
                lists=(ClipList(f'meta_info_Vimeo90K_{split}_GT.txt', 'size'),),
            )
            for split, num_clips in (('train', 64612), ('test', 7824))
        ),
        degraded=(
            DegradedPart('bi', 'GT/{clip}', 'BIx4/{clip}', ('BIx4/{clip}',)),
            DegradedPart('bd', 'GT/{clip}', 'BDx4/{clip}', ('BDx4/{clip}',)),
        ),
        default_degradations=('bi', 'bd'),
    ),
    'vid4': Recipe(
        title='Vid4: calendar, city, foliage and walk',
        parts=(
            Part(
                sources=('GT/{clip}', 'HR/{clip}', '{clip}/truth', '{clip}'),
                target='GT/{clip}',
                num_clips=4,
                num_frames=VID4_FRAMES,
                only=frozenset(VID4_FRAMES),
                frame_name='{:08d}.png',
                lists=(ClipList('meta_info_Vid4_GT.txt', 'count'),),
            ),
        ),
        degraded=(
            DegradedPart('bi', 'GT/{clip}', 'BIx4/{clip}', ('BIx4/{clip}',)),
            DegradedPart('bd', 'GT/{clip}', 'BDx4/{clip}', ('BDx4/{clip}',)),
        ),
        default_degradations=('bi', 'bd'),
    ),
    'udm10': Recipe(
        title='UDM10 (github.com/psychopa4/PFNL)',
        parts=(
            Part(
                sources=('GT/{clip}', '{clip}/truth', '{clip}'),
                target='GT/{clip}',
                num_clips=10,
                num_frames=32,
                only=UDM10_CLIPS,
                frame_name='{:04d}.png',
            ),
        ),
        degraded=(DegradedPart('bd', 'GT/{clip}', 'BDx4/{clip}', ('BDx4/{clip}',)),),
        default_degradations=('bd',),
    ),
    'gopro': Recipe(
        # 'blur' is what deblurring papers report on; 'blur_gamma' lies beside it.
        title='GOPRO_Large (seungjunnah.github.io/Datasets/gopro)',
        parts=tuple(
            Part(
                sources=(f'{split}/{{clip}}/{kind}',),
                target=f'{split}/{kind}/{{clip}}',
                num_clips=num_clips,
                total_frames=total,
                size=(720, 1280),
            )
            for split, num_clips, total in (('train', 22, 2103), ('test', 11, 1111))
            for kind in ('blur', 'sharp')
        ),
        pairs=_BLUR_PAIRS,
    ),
    'dvd': Recipe(
        title='DVD (cs.ubc.ca/labs/imager/tr/2017/DeepVideoDeblurring): quantitative_datasets',
        parts=tuple(
            Part(
                sources=(f'quantitative_datasets/{{clip}}/{download}', f'{{clip}}/{download}'),
                target=f'{split}/{kind}/{{clip}}',
                num_clips=num_clips,
                only=DVD_TEST if split == 'test' else frozenset(),
                without=DVD_TEST if split == 'train' else frozenset(),
            )
            for split, num_clips in (('train', 61), ('test', 10))
            for kind, download in (('blur', 'input'), ('sharp', 'GT'))
        ),
        pairs=_BLUR_PAIRS,
    ),
    'mfqev2': Recipe(
        title='MFQEv2 (github.com/RyanXingQL/MFQEv2.0): train_108 and test_18, unpacked',
        parts=tuple(
            Part(
                sources=(f'{download}/raw/{{clip}}.yuv', f'{download}/{{clip}}.yuv'),
                target=f'{split}/GT/{{clip}}.yuv',
                num_clips=num_clips,
            )
            for split, download, num_clips in (('train', 'train_108', 108), ('test', 'test_18', 18))
        ),
        degraded=tuple(part for qp in (22, 27, 32, 37, 42) for part in _mfqev2_degraded(qp)),
        default_degradations=('qp37',),
    ),
}
