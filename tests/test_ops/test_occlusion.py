# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import torch

from s2svr_mm.ops.occlusion import inside_frame, visible_mask
from s2svr_mm.ops.resize_flow import rescale_flow


def square_over_a_plane(shift=6):
    """A 10x10 square that moves to the right over a plane at rest, with both exact flows.

    Returns the flow of each frame and where each can be seen in the other one.
    """
    first, second = torch.zeros(1, 2, 30, 40), torch.zeros(1, 2, 30, 40)
    first[:, 0, 10:20, 8:18] = shift
    second[:, 0, 10:20, 8 + shift : 18 + shift] = -shift
    seen_of_first, seen_of_second = torch.ones(1, 1, 30, 40), torch.ones(1, 1, 30, 40)
    seen_of_first[..., 10:20, 18 : 18 + shift] = 0  # the square moves over it
    seen_of_second[..., 10:20, 8 : 8 + shift] = 0  # the square has uncovered it
    return first, second, seen_of_first, seen_of_second


def test_square_over_a_plane():
    first, second, seen_of_first, seen_of_second = square_over_a_plane()
    torch.testing.assert_close(visible_mask(first, second), seen_of_first)
    torch.testing.assert_close(visible_mask(second, first), seen_of_second)


def test_leaving_the_frame_is_not_visible():
    flow = torch.zeros(1, 2, 6, 8)
    flow[:, 0] = 3
    expected = torch.ones(1, 1, 6, 8)
    expected[..., 5:] = 0
    torch.testing.assert_close(inside_frame(flow), expected)
    torch.testing.assert_close(visible_mask(flow, -flow), expected)


def test_tolerance_grows_with_the_square_of_the_motion():
    """|f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5: for f = 20 and b = -20 + d, up to d = 2.68."""
    for difference, seen in ((2.6, 1), (2.8, 0)):
        flow, back = torch.zeros(2, 1, 2, 4, 64)
        flow[:, 0], back[:, 0] = 20, -20 + difference
        assert visible_mask(flow, back)[..., :40].eq(seen).all()


def test_mask_has_no_gradient():
    flow = torch.zeros(1, 2, 6, 8, requires_grad=True)
    assert not visible_mask(flow, flow).requires_grad


def test_rescaled_flow_of_a_field_that_is_linear():
    """A flow that grows linearly with the place is known at any resolution."""

    def field(h, w):
        x = (torch.arange(w) + 0.5) / w
        y = (torch.arange(h) + 0.5) / h
        u = (0.1 * x + 0.2 * y[:, None]) * w
        v = (0.3 * x - 0.1 * y[:, None]) * h
        return torch.stack((u, v))[None]

    found, share = rescale_flow(field(16, 24), (4, 8))
    torch.testing.assert_close(found, field(4, 8))
    assert share is None
    found, _ = rescale_flow(field(4, 8), (16, 24))
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(found[inner], field(16, 24)[inner])
