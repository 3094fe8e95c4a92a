# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Copy clips to the device and results back to main memory."""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

# Frames that are on their way into pinned memory while an earlier one is copied out of it.
_STAGED = 2


class HostTransfers:
    """For a network on the CPU: nothing has to move.

    Attributes:
        ahead (int): Clips to begin with before the first one's result is fetched.
    """

    ahead = 0

    def upload(self, frames: Sequence[np.ndarray]) -> Tensor:
        """Bring a clip to the device.

        Args:
            frames (Sequence[np.ndarray]): t arrays of one shape and type.

        Returns:
            Tensor: (t, ...), for use in the current stream.
        """
        return torch.from_numpy(np.stack(frames))

    def download(self, frames: Tensor) -> Callable[[], np.ndarray]:
        """Bring frames to main memory.

        Args:
            frames (Tensor): (t, ...), a result of the current stream.

        Returns:
            Callable: Waits for the frames, and for no later work of the device, and returns them.
        """
        return frames.numpy


class CudaTransfers:
    """Transfers in streams of their own, beside the clip that is being computed.

    They go frame by frame through pinned memory, of which no more than a few frames' is held.

    Args:
        device (torch.device): The GPU.

    Attributes:
        ahead (int): As in :class:`HostTransfers`: with one clip ahead, the GPU computes one while
            the next one comes and the one before goes.
    """

    ahead = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._up, self._down = torch.cuda.Stream(device), torch.cuda.Stream(device)

    def upload(self, frames: Sequence[np.ndarray]) -> Tensor:
        """See :class:`HostTransfers`."""
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._up):
            first = torch.from_numpy(frames[0])
            clip = torch.empty((len(frames), *first.shape), dtype=first.dtype, device=self.device)
            for target, frame in zip(clip, frames, strict=True):
                # torch reuses pinned memory only after the copies from it.
                pinned = torch.from_numpy(np.ascontiguousarray(frame)).pin_memory()
                target.copy_(pinned, non_blocking=True)
        computing.wait_stream(self._up)
        clip.record_stream(computing)
        return clip

    def download(self, frames: Tensor) -> Callable[[], np.ndarray]:
        """See :class:`HostTransfers`."""
        # A copy of anything else would be made in between, and waited for.
        frames = frames.contiguous()
        ready = torch.cuda.current_stream(self.device).record_event()

        def fetch() -> np.ndarray:
            result = torch.empty(frames.shape, dtype=frames.dtype)
            staged: deque[tuple[Tensor, Tensor, torch.cuda.Event]] = deque()

            def unstage() -> None:
                target, pinned, arrived = staged.popleft()
                arrived.synchronize()
                target.copy_(pinned)

            with torch.cuda.stream(self._down):
                self._down.wait_event(ready)
                for target, frame in zip(result, frames, strict=True):
                    pinned = torch.empty(frame.shape, dtype=frame.dtype, pin_memory=True)
                    pinned.copy_(frame, non_blocking=True)
                    staged.append((target, pinned, self._down.record_event()))
                    if len(staged) > _STAGED:
                        unstage()
                while staged:
                    unstage()
            return result.numpy()

        return fetch


def transfers_to(device: torch.device) -> HostTransfers | CudaTransfers:
    """Return the transfers that suit a device."""
    return CudaTransfers(device) if device.type == 'cuda' else HostTransfers()
