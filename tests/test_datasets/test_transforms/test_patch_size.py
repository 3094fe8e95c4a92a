# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest

from s2svr_mm.datasets import VideoClipDataset
from s2svr_mm.errors import DataError


def test_frames_smaller_than_the_patch(clip_pairs):
    root = clip_pairs(names=['street'], num_frames=2, height=96, width=128)
    pipeline = [dict(type='LoadClip'), dict(type='PairedRandomCrop', gt_patch_size=96)]
    prefix = dict(img='lq', gt='gt')
    dataset = VideoClipDataset(prefix, str(root), scale=4, pipeline=pipeline)
    assert dataset[0]['gt'][0].shape == (96, 96, 3)

    pipeline[1]['gt_patch_size'] = 256
    with pytest.raises(DataError) as error:
        VideoClipDataset(prefix, str(root), scale=4, pipeline=pipeline)[0]
    text = 'lq/street/00000000.png: degraded frames of 32x24 are smaller than the 64x64'
    assert text in str(error.value)
    assert 'gt_patch_size=N' in str(error.value)
