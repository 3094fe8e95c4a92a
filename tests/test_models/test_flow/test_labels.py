# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from helpers.clips import moving_clip
from torch import nn

from s2svr_mm.models.flow.labels import label_flows


class Gradient(nn.Module):
    """A flow that turns with the frames: the central differences of the first one."""

    def forward(self, ref, supp):
        gx, gy = torch.zeros(2, len(ref), *ref.shape[-2:])
        gx[..., 1:-1] = ref[:, 0, :, 2:] - ref[:, 0, :, :-2]
        gy[:, 1:-1] = ref[:, 0, 2:] - ref[:, 0, :-2]
        return torch.stack((gx, gy), 1)


class Constant(nn.Module):
    """A flow that does not: always the same."""

    def forward(self, ref, supp):
        return torch.tensor((2.2, -1.3)).view(1, 2, 1, 1).expand(len(ref), 2, *ref.shape[-2:])


def test_flips_keep_what_turns_with_the_frames_and_cancel_what_does_not():
    first, second = torch.rand(2, 2, 3, 9, 14)
    for found, frames in zip(
        label_flows(Gradient(), first, second, 'flips'), (first, second), strict=True
    ):
        torch.testing.assert_close(found, Gradient()(frames, None))
    for flow in label_flows(Constant(), first, second, 'flips'):
        torch.testing.assert_close(flow, torch.zeros_like(flow))
    for flow in label_flows(Constant(), first, second, 'plain'):
        torch.testing.assert_close(flow, Constant()(first, second))


def test_refined_label_is_closer_to_the_truth():
    frames = torch.from_numpy(moving_clip(2, 64, 72, (2.0, -1.0), 0.0)).permute(0, 3, 1, 2) / 255
    first, second = frames.split(1)
    true = torch.tensor((2.0, -1.0)).view(1, 2, 1, 1)
    inner = (..., slice(12, -12), slice(12, -12))
    plain, refined = (
        (label_flows(Constant(), first, second, label)[0] - true)[inner].norm(dim=1).mean()
        for label in ('plain', 'refine')
    )
    assert plain == pytest.approx(0.36, abs=0.01)
    assert refined < 0.05


def test_unknown_label_is_named():
    with pytest.raises(ValueError, match=r"label must be one of plain, .* but got 'flip'"):
        label_flows(Constant(), *torch.rand(2, 1, 3, 8, 8), label='flip')
