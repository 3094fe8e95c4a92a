# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Maps padded to the sizes that networks work on."""

import torch.nn.functional as F
from torch import Tensor


def pad_to(x: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Pad maps at the right and the bottom by repeating their border.

    Crop what is made of them by ``[..., :h, :w]``.

    Args:
        x (Tensor): (n, c, h, w).
        multiple (int): Divisor of the new sides.
        least (int): Least side. Defaults to 1.

    Returns:
        Tensor: (n, c, H, W), H >= h and W >= w the smallest such sides.
    """
    h, w = (side + -side % multiple for side in (max(s, least) for s in x.shape[-2:]))
    return F.pad(x, (0, w - x.shape[-1], 0, h - x.shape[-2]), mode='replicate')
