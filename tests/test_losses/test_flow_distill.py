# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch

from s2svr_mm.losses import FlowDistillLoss


def flows(h=4, w=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 1, 2, h, w, generator=generator, dtype=torch.float64)


def test_gradient_by_finite_differences():
    student, teacher = flows()
    student.requires_grad_()
    visible = torch.ones(1, 1, 4, 5, dtype=torch.float64)
    visible[..., 2] = 0
    assert torch.autograd.gradcheck(lambda s: FlowDistillLoss()(s, teacher, visible), student)


def test_formula():
    student, teacher = flows()
    expected = ((student - teacher).abs() + 0.01).pow(0.4).mean()
    torch.testing.assert_close(FlowDistillLoss(loss_weight=2.0)(student, teacher), 2 * expected)


def test_no_gradient_reaches_the_teacher():
    student, teacher = flows()
    teacher.requires_grad_()
    FlowDistillLoss()(student.requires_grad_(), teacher).backward()
    assert teacher.grad is None


def test_teacher_of_larger_frames_counts_in_the_students_pixels():
    teacher = torch.zeros(1, 2, 16, 24)
    teacher[:, 0] = 8
    teacher[:, 1] = -2
    student = torch.zeros(1, 2, 4, 6)
    student[:, 0] = 2
    student[:, 1] = -0.5
    assert FlowDistillLoss(eps=1e-9, q=1)(student, teacher).item() == pytest.approx(0, abs=1e-6)
    # What the teacher cannot see is neither counted nor mixed into what it can.
    visible = torch.ones(1, 1, 16, 24)
    visible[..., ::4] = 0
    teacher[..., ::4] = 1e6
    loss = FlowDistillLoss(eps=1e-9, q=1)(student, teacher, visible)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_equal_flows_have_finite_gradients():
    student = torch.zeros(1, 2, 4, 5, requires_grad=True)
    FlowDistillLoss()(student, torch.zeros(1, 2, 4, 5)).backward()
    assert student.grad.isfinite().all()


def test_map():
    student, teacher = flows()
    visible = torch.ones(1, 1, 4, 5, dtype=torch.float64)
    visible[..., 0] = 0
    found = FlowDistillLoss(reduction='none')(student, teacher, visible)
    assert found.shape == (1, 1, 4, 5)
    assert found[..., 0].eq(0).all()
    mean = FlowDistillLoss()(student, teacher, visible)
    torch.testing.assert_close(found.sum() / visible.sum(), mean)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r'eps=0, q=0\.4'):
        FlowDistillLoss(eps=0)
