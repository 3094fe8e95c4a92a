# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A small S2SVR of which every part has an effect on the result."""

import torch
from torch import nn

from s2svr_mm.models.s2svr_plus_net import S2SVRPlusNet


class KnownFlow(nn.Module):
    """An estimator that has no graph in ONNX: flow of some pixels, another for each pair."""

    def forward(self, ref, supp):
        h, w = ref.shape[-2:]
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
        means = (ref - supp).mean((1, 2, 3))[:, None, None]
        return torch.stack((2 * torch.sin(x / 5 + 9 * means), 1.5 * torch.cos(y / 4) - means), 1)


def tiny(kind=S2SVRPlusNet, **options) -> nn.Module:
    """A small network of which every part has an effect on the result."""
    torch.manual_seed(0)
    network = kind(4, 1, **{'flow_estimator': KnownFlow(), **options}).eval()
    for name, parameter in network.named_parameters():
        if name.endswith(('output.convs.2.weight', 'output.convs.1.weight', 'details.last.weight')):
            nn.init.normal_(parameter, std=0.1)
    return network
