# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import torch
from torch import nn

from s2svr_mm.engine import BF16OptimWrapper


def train(steps, wrap):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    wrapper = wrap(torch.optim.Adam(model.parameters(), lr=1e-2))
    inputs = torch.rand(2, 3, 16, 16)
    kinds, losses = set(), []
    for _ in range(steps):
        with wrapper.optim_context(model):
            outputs = model(inputs)
            kinds.add(outputs.dtype)
        loss = (outputs.float() - inputs).abs().mean()
        wrapper.update_params(loss)
        losses.append(loss.item())
    return model, kinds, losses


def test_trains_in_bfloat16_with_float32_weights():
    model, kinds, losses = train(30, BF16OptimWrapper)
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert losses[-1] < 0.5 * losses[0]


def test_follows_float32():
    from mmengine.optim import OptimWrapper

    *_, losses = train(10, BF16OptimWrapper)
    _, kinds, expected = train(10, OptimWrapper)
    assert kinds == {torch.float32}
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=0.02, atol=0)
