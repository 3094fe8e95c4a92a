# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import cv2
import mmcv
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from mmagic.registry import DATASETS, TRANSFORMS
from mmagic.utils import register_all_modules

from s2svr_mm.errors import DataError
from s2svr_mm.io.flow_files import flow_to_rgb, read_flow

PIPELINE = [
    dict(type='LoadClip'),
    dict(type='LoadFlow'),
    dict(type='PackInputs', data_keys=['gt_flow', 'gt_valid'], meta_keys=['key']),
]


@pytest.fixture
def flow():
    rng = np.random.default_rng(0)
    return rng.normal(scale=20, size=(12, 20, 2)).astype(np.float32)


@pytest.fixture
def middlebury(tmp_path):
    """Two scenes, the second with numbers of its own, and unknown flow at one pixel."""
    for scene, first in (('Street', 10), ('Yard', 7)):
        folder = tmp_path / scene
        write_frames(folder, moving_clip(2, 24, 32))
        for index in range(2):
            (folder / f'{index:08d}.png').rename(folder / f'frame{first + index:02d}.png')
        flow = np.zeros((24, 32, 2), np.float32)
        flow[..., 0], flow[..., 1] = 1.5, -0.75
        flow[3, 4] = 1.666e9
        mmcv.flowwrite(flow, str(folder / f'flow{first:02d}.flo'))
    return tmp_path


def test_flo(tmp_path, flow):
    path = tmp_path / 'flow10.flo'
    cv2.writeOpticalFlow(str(path), flow)
    flow[2, 3] = 1e10
    cv2.writeOpticalFlow(str(path), flow)
    found, valid = read_flow(path)
    assert not valid[2, 3]
    assert valid.sum() == valid.size - 1
    np.testing.assert_array_equal(found[valid], flow[valid])
    assert found[2, 3].tolist() == [0, 0]


def test_kitti_png(tmp_path, flow):
    known = np.ones((12, 20), bool)
    known[4:6] = False
    stored = np.concatenate((flow * 64 + 2**15, known[..., None]), -1)
    stored = np.round(stored).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / 'a_10.png'), stored[..., ::-1])
    found, valid = read_flow(tmp_path / 'a_10.png')
    np.testing.assert_array_equal(valid, known)
    np.testing.assert_allclose(found[valid], flow[valid], atol=0.008)


@pytest.mark.parametrize(
    ('change', 'match'),
    [
        (lambda b: b'XXXX' + b[4:], r"flow10\.flo starts with b'XXXX' instead of the tag PIEH"),
        (lambda b: b[:-5], r'flow10\.flo has 1927 bytes, but a flow of 20x12 has 1932'),
        (lambda b: b[:7], r'flow10\.flo has 7 bytes'),
        (lambda b: b'', 'instead of the tag PIEH'),
    ],
)
def test_damaged_flo_is_named(tmp_path, flow, change, match):
    path = tmp_path / 'flow10.flo'
    mmcv.flowwrite(flow, str(path))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=match):
        read_flow(path)


def test_other_damaged_flows_are_named(tmp_path):
    with pytest.raises(DataError, match=r'Cannot read the flow .*No such file'):
        read_flow(tmp_path / 'none.flo')
    cv2.imwrite(str(tmp_path / 'grey.png'), np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r'grey\.png is uint8 \(4, 4\)'):
        read_flow(tmp_path / 'grey.png')
    (tmp_path / 'cut.png').write_bytes((tmp_path / 'grey.png').read_bytes()[:30])
    with pytest.raises(DataError, match=r'cut\.png cannot be read'):
        read_flow(tmp_path / 'cut.png')
    (tmp_path / 'flow.pfm').write_bytes(b'PF')
    with pytest.raises(DataError, match='no flow file'):
        read_flow(tmp_path / 'flow.pfm')


def test_middlebury_layout(middlebury):
    register_all_modules()
    data = DATASETS.build(
        dict(type='FlowPairDataset', data_root=str(middlebury), pipeline=PIPELINE)
    )
    assert len(data) == 2
    samples = [sample['data_samples'] for sample in data]
    assert [sample.metainfo['key'] for sample in samples] == ['Street', 'Yard']
    frames = torch.from_numpy(moving_clip(2, 24, 32)).permute(0, 3, 1, 2)
    torch.testing.assert_close(data[1]['inputs'], frames)
    assert samples[1].gt_flow.shape == (2, 24, 32)
    assert samples[1].gt_flow[:, 0, 0].tolist() == [1.5, -0.75]
    assert samples[1].gt_valid.sum() == 24 * 32 - 1
    assert samples[1].gt_valid[0, 3, 4] == 0


@pytest.fixture
def sintel(tmp_path):
    """Three frames of one scene by Sintel's names, the first flow with both masks."""
    root = tmp_path / 'sintel'
    folder = root / 'alley'
    write_frames(folder, moving_clip(3, 24, 32))
    for index in range(3):
        (folder / f'{index:08d}.png').rename(folder / f'frame_{index + 1:04d}.png')
    for number in (1, 2):
        flow = np.full((24, 32, 2), number, np.float32)
        mmcv.flowwrite(flow, str(folder / f'flow_{number:04d}.flo'))
    for name, column in (('occlusion', 5), ('invalid', 6)):
        mask = np.zeros((24, 32), np.uint8)
        mask[:, column] = 255
        cv2.imwrite(str(folder / f'{name}_0001.png'), mask)
    return root


def test_layout_and_masks_of_sintel(sintel):
    register_all_modules()
    pack = dict(
        type='PackInputs',
        data_keys=['gt_flow', 'gt_valid', 'gt_visible', 'gt_clean'],
        meta_keys=['key'],
    )
    data = DATASETS.build(
        dict(type='FlowPairDataset', data_root=str(sintel), pipeline=[*PIPELINE[:2], pack])
    )
    first, second = (sample['data_samples'] for sample in data)
    assert [s.metainfo['key'] for s in (first, second)] == ['alley/flow_0001', 'alley/flow_0002']
    assert (first.gt_flow == 1).all()
    assert (second.gt_flow == 2).all()
    clip = torch.from_numpy(moving_clip(3, 24, 32)).permute(0, 3, 1, 2)
    torch.testing.assert_close(data[1]['inputs'], clip[1:])
    torch.testing.assert_close(second.gt_clean, clip[1:].flatten(0, 1).float())
    for mask, column in ((first.gt_visible, 5), (first.gt_valid, 6)):
        assert mask.shape == (1, 24, 32)
        assert mask.sum() == 24 * 31
        assert (mask[..., column] == 0).all()
    assert (second.gt_visible == 1).all()
    assert (second.gt_valid == 1).all()

    for name in ('occlusion', 'invalid'):
        path = sintel / 'alley' / f'{name}_0001.png'
        whole = path.read_bytes()
        cv2.imwrite(str(path), np.zeros((24, 30), np.uint8))
        with pytest.raises(DataError, match=rf'{name}_0001\.png is 30x24, but its frame .* 32x24'):
            data[0]
        path.write_bytes(whole[:40])
        with pytest.raises(DataError, match=rf'{name}_0001\.png .* is truncated'):
            data[0]
        path.write_bytes(whole)


def test_kitti_layout(tmp_path, flow):
    register_all_modules()
    (tmp_path / 'image_2').mkdir()
    (tmp_path / 'flow_occ').mkdir()
    stored = np.concatenate((flow * 64 + 2**15, np.ones((12, 20, 1))), -1).astype(np.uint16)
    for name in ('000000', '000001'):
        for number in (10, 11):
            frame = np.full((12, 20, 3), number, np.uint8)
            cv2.imwrite(str(tmp_path / 'image_2' / f'{name}_{number}.png'), frame)
        cv2.imwrite(str(tmp_path / 'flow_occ' / f'{name}_10.png'), stored[..., ::-1])
    prefix = dict(img='image_2', flow='flow_occ')
    data = DATASETS.build(
        dict(
            type='FlowPairDataset',
            data_root=str(tmp_path),
            data_prefix=prefix,
            pipeline=PIPELINE,
        )
    )
    assert [sample['data_samples'].metainfo['key'] for sample in data] == ['000000', '000001']
    assert data[1]['inputs'][:, 0, 0, 0].tolist() == [10, 11]


def test_missing_parts_are_named(middlebury, tmp_path):
    register_all_modules()

    def build(root, **kwargs):
        return DATASETS.build(dict(type='FlowPairDataset', data_root=str(root), **kwargs))

    with pytest.raises(DataError, match='nowhere is not a folder'):
        build(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='There is no flow in'):
        build(tmp_path / 'empty')
    mmcv.flowwrite(np.zeros((24, 30, 2), np.float32), str(middlebury / 'Street' / 'flow10.flo'))
    with pytest.raises(DataError, match=r'flow10\.flo is 30x24, but its frame .* is 32x24'):
        build(middlebury, pipeline=PIPELINE)[0]
    (middlebury / 'Street' / 'frame11.png').unlink()
    with pytest.raises(DataError, match=r'flow10\.flo needs one frame of the number 11'):
        build(middlebury)


def test_colours_of_flow():
    flow = np.zeros((2, 3, 2), np.float32)
    flow[0, 0] = 4, 0
    flow[0, 1] = 2, 0
    flow[1, 2] = np.nan
    rgb = flow_to_rgb(flow)
    assert rgb.shape == (2, 3, 3)
    assert rgb[0, 2].tolist() == [255, 255, 255]
    assert rgb[1, 2].tolist() == [0, 0, 0]
    assert rgb[0, 0].min() < rgb[0, 1].min() < 255
    # Twice the scale shows the vector of 4 as that of 2 was.
    np.testing.assert_array_equal(flow_to_rgb(flow, longest=8)[0, 0], rgb[0, 1])


def test_blur_of_a_pair_is_along_its_motion():
    """A texture that moves to the right loses its vertical edges and keeps the horizontal ones."""
    frames = list(moving_clip(2, 64, 64, (6.0, 0.0), 0.0))
    blur = TRANSFORMS.build(dict(type='PairMotionBlur', exposure=1.0))
    blurred = blur.transform(dict(img=frames))['img']
    for before, after in zip(frames, blurred, strict=True):
        loss = [
            np.abs(np.diff(after.astype(float), axis=axis)).mean()
            / np.abs(np.diff(before.astype(float), axis=axis)).mean()
            for axis in (0, 1)
        ]
        assert loss[1] < 0.8 * loss[0]
    still = blur.transform(dict(img=[frames[0], frames[0]]))['img']
    assert np.abs(still[0].astype(int) - frames[0]).max() <= 1
    with pytest.raises(ValueError, match='blurs pairs, but got 3'):
        blur.transform(dict(img=[frames[0]] * 3))


def test_known_motion_is_that_of_the_pair():
    torch.manual_seed(0)
    register_all_modules()
    move = TRANSFORMS.build(dict(type='KnownMotion', max_motion=6.0, max_layers=1, variation=0))
    shrink = TRANSFORMS.build(dict(type='BicubicDownsample', scale=4))
    clip = list(moving_clip(3, 92, 76))
    sample = move(dict(gt=clip, gt_path=['a.png', 'b.png', 'c.png']))
    assert sample['gt_path'] == ['a.png', 'a.png']
    assert [(f.shape, f.dtype) for f in sample['gt']] == [((80, 64, 3), np.uint8)] * 2
    flow = sample['gt_flow']
    assert flow.shape == (80, 64, 2)
    assert flow.dtype == np.float32
    assert 0.5 < np.linalg.norm(flow, axis=-1).max() <= 6.0001
    grid = np.stack(np.meshgrid(np.arange(64), np.arange(80)), -1).astype(np.float32)
    found = cv2.remap(sample['gt'][1], grid + flow, None, cv2.INTER_CUBIC)
    inner = (slice(8, -8), slice(8, -8))
    error = np.abs(found[inner].astype(float) - sample['gt'][0][inner])
    still = np.abs(sample['gt'][1][inner].astype(float) - sample['gt'][0][inner])
    assert error.mean() < min(2, still.mean() / 4)
    assert [f.shape for f in shrink(sample)['img']] == [(20, 16, 3)] * 2
    assert sample['gt_flow'].shape == (80, 64, 2)


def test_known_motion_needs_large_frames():
    register_all_modules()
    move = TRANSFORMS.build(dict(type='KnownMotion', max_motion=16.0))
    with pytest.raises(ValueError, match=r'Frames of 40x20 are too small for motion of 16\.0'):
        move(dict(gt=list(moving_clip(2, 20, 40)), gt_path=['a', 'b']))
