# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Attention over the encoder's outputs of neighbouring frames."""

import math
from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor


class LocalAttention(BaseModule):
    """Per pixel and channel, a weighted mean of the encoder's outputs around a frame.

    energy = tanh(conv([query, value])), score = conv(energy), softmax over the frames, context =
    sum of weight * value (S2SVR, section 3.3; Bahdanau's attention made local). The convolution of
    [query, value] is the sum of one of the query, computed once, and one of the values.

    Args:
        channels (int): Channels of query, values and context.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.key = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.score = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        # As nn.Conv2d would draw them if [query, value] were their input.
        bound = 1 / math.sqrt(9 * 2 * channels)
        for conv in (self.query, self.key):
            nn.init.uniform_(conv.weight, -bound, bound)

    def forward(self, query: Tensor, values: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
        """Compute the context of one frame.

        Args:
            query (Tensor): State of the decoder, (n, c, h, w).
            values (Sequence[Tensor]): Outputs of the encoder, aligned to the frame, k of shape
                (n, c, h, w).
            counts (Sequence[int]): How many times each value stands in the softmax.

        Returns:
            Tensor: (n, c, h, w).
        """
        n = query.shape[0]
        # In place: no convolution keeps its output for the backward pass.
        energy = self.key(torch.cat(tuple(values))).unflatten(0, (-1, n))
        energy = energy.add_(self.query(query)).tanh_()
        score = self.score(energy.flatten(0, 1)).unflatten(0, (-1, n))
        if any(count > 1 for count in counts):
            score = score + score.new_tensor(counts).log().view(-1, 1, 1, 1, 1)
        # Channels last, as the convolution wrote the scores: softmax makes its input contiguous,
        # which is a copy for any other order of the axes.
        weight = score.permute(0, 1, 3, 4, 2).softmax(0).permute(0, 1, 4, 2, 3)
        context = weight[0] * values[0]
        for w, value in zip(weight[1:], values[1:], strict=True):
            context = torch.addcmul(context, w, value)
        return context
