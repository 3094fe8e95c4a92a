# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os

import cv2
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from mmagic.registry import DATASETS, MODELS, TRANSFORMS
from mmagic.utils import register_all_modules
from torch import nn

from s2svr_mm.errors import DataError
from s2svr_mm.io.flow_files import kitti_png, read_flow
from s2svr_mm.models.flow.labels import label_flows

SHIFT = (2.0, -1.0)


class Counting(nn.Module):
    """DIS, its calls counted, with a weight and a setting that change nothing but its name."""

    calls = 0

    def __init__(self, weight=1.0, window=9):
        super().__init__()
        self.dis = MODELS.build(dict(type='DISFlow'))
        self.register_buffer('weight', torch.tensor(weight))

    def forward(self, ref, supp):
        Counting.calls += 1
        return self.dis(ref, supp)


@pytest.fixture
def labels_of(tmp_path, monkeypatch):
    """A data set of one clip, whose pairs come with labels."""
    register_all_modules()
    monkeypatch.setattr(Counting, 'calls', 0)
    monkeypatch.setitem(MODELS.module_dict, 'Counting', Counting)
    write_frames(tmp_path / 'gt' / 'street', moving_clip(3, 48, 64, SHIFT, 0.0))

    def build(*transforms, weight=1.0, window=9, label='flips', **options):
        estimator = dict(type='Counting', weight=weight, window=window)
        teacher = dict(type='FlowLabeler', estimator=estimator, label=label)
        load = dict(type='LoadFlowLabels', root=str(tmp_path / 'labels'), teacher=teacher)
        return DATASETS.build(
            dict(
                type='VideoClipDataset',
                data_root=str(tmp_path),
                data_prefix=dict(gt='gt'),
                pipeline=[dict(type='LoadClip'), load, *transforms],
                **dict(num_input_frames=2, test_mode=True) | options,
            )
        )

    return build


def assert_same_flows(label, flows):
    """Where it is believed, a label is the flows to half of a KITTI step."""
    for i, flow in enumerate(flows):
        believed = label[..., 4 + i] > 0
        found, expected = label[..., 2 * i : 2 * i + 2], flow[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found[believed], expected[believed], atol=1 / 128 + 1e-4)


def test_a_pair_is_found_once_and_read_ever_after(labels_of, tmp_path):
    sample = labels_of()[0]
    called = Counting.calls
    assert called == 4  # a pass for each flip, both directions in each
    again = labels_of()[0]
    assert Counting.calls == called
    np.testing.assert_array_equal(again['flow_label'], sample['flow_label'])
    # Other weights, other settings and another label are not served with these.
    labels_of(weight=2.0)[0]
    labels_of(window=7)[0]
    labels_of(label='plain')[0]
    assert Counting.calls == 3 * called + 1
    assert len(list((tmp_path / 'labels').glob('*/street/*.png'))) == 8

    frames = [torch.from_numpy(f).permute(2, 0, 1)[None] / 255 for f in sample['gt']]
    assert sample['flow_label'].shape == (48, 64, 6)
    assert_same_flows(sample['flow_label'], label_flows(Counting(), *frames, 'flips'))
    assert sample['flow_label'][12:-12, 12:-12, 4:].mean() > 0.9


def test_labels_of_a_pair_that_runs_backwards(labels_of):
    ahead = labels_of()[0]
    back = labels_of(test_mode=False, reverse_ratio=1.0, num_input_frames=2)
    np.random.seed(0)
    samples = [back[0] for _ in range(8)]
    (turned,) = [s for s in samples if s['gt_indices'] == [1, 0]][:1]
    order = [2, 3, 0, 1, 5, 4]
    np.testing.assert_array_equal(turned['flow_label'], ahead['flow_label'][..., order])


@pytest.mark.parametrize(('direction', 'dims'), [('horizontal', (2,)), ('vertical', (1,))])
def test_flipped_labels_are_those_of_flipped_frames(labels_of, direction, dims):
    flip = dict(type='FlipFlowLabels', flip_ratio=1.0, direction=direction)
    crop = dict(type='FixedCrop', keys=['gt', 'flow_label'], crop_size=(40, 50))
    sample = labels_of(flip)[0]
    first, second = (torch.from_numpy(f).permute(2, 0, 1)[None] / 255 for f in sample['gt'])
    assert_same_flows(sample['flow_label'], label_flows(Counting(), first, second, 'flips'))
    plain = torch.from_numpy(labels_of()[0]['flow_label'])
    np.testing.assert_array_equal(
        sample['flow_label'][..., 4:], plain.permute(2, 0, 1).flip(dims)[4:].permute(1, 2, 0)
    )
    assert labels_of(flip, crop)[0]['flow_label'].shape == (40, 50, 6)


def test_what_is_no_pair_or_has_changed_is_named(labels_of, tmp_path):
    with pytest.raises(DataError, match=r'street: the frames \[0, 2\] are no pair of neighbours'):
        labels_of(test_mode=False, interval_list=[2])[0]
    with pytest.raises(DataError, match=r'street: the frames \[0, 1, 2\] are no pair'):
        labels_of(num_input_frames=3)[0]
    labels_of()[0]
    path = next((tmp_path / 'labels').rglob('00000000_00000001.png'))
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    with pytest.raises(DataError, match=r'00000000_00000001\.png cannot be read'):
        labels_of()[0]
    path.write_bytes(kitti_png(np.zeros((48, 60, 2)), np.ones((48, 60), bool)))
    with pytest.raises(DataError, match=r'png is 60x48, but its frame is 64x48: the clip has ch'):
        labels_of()[0]
    assert not [name for name in os.listdir(path.parent) if not name.endswith('.png')]


def test_kitti_png_reads_back(tmp_path):
    rng = np.random.default_rng(0)
    flow = rng.normal(scale=30, size=(12, 20, 2)).astype(np.float32)
    valid = rng.random((12, 20)) > 0.3
    (tmp_path / 'a_10.png').write_bytes(kitti_png(flow, valid))
    assert cv2.imread(str(tmp_path / 'a_10.png'), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    found, known = read_flow(tmp_path / 'a_10.png')
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_allclose(found[valid], flow[valid], atol=1 / 128 + 1e-5)
    (tmp_path / 'b_10.png').write_bytes(kitti_png(np.full((1, 1, 2), 1e4), np.ones((1, 1), bool)))
    assert read_flow(tmp_path / 'b_10.png')[0].max() == pytest.approx(512, abs=0.02)


def test_transforms_name_themselves():
    register_all_modules()
    load = TRANSFORMS.build(dict(type='LoadFlowLabels', root='labels', teacher={}))
    assert repr(load) == "LoadFlowLabels(root='labels')"
