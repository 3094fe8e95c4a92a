# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Offload hidden states to main memory while the GPU works on those of other frames."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import overload

import torch
from torch import Tensor

# States of a sequence that are on the GPU: those that the attention reads around a frame and around
# the next one, with the neighbours of both.
NEAR = 6
# Frames that the program may run ahead of the GPU: enough to keep it busy, and no more, for the
# memory of what they fetch is free again only when the GPU has been there.
_AHEAD = 2


class MainMemory:
    """Main memory for the states of a network on a GPU, and the streams in which they move.

    Args:
        device (torch.device): The GPU.

    Attributes:
        device (torch.device): The GPU.
        leaving (torch.cuda.Stream): For copies from the GPU.
        coming (torch.cuda.Stream): For copies to the GPU.
        held (int): Bytes of states that are offloaded.
        peak (int): Most bytes offloaded at once.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.leaving, self.coming = torch.cuda.Stream(device), torch.cuda.Stream(device)
        self.held = self.peak = 0

    def __call__(self, tensors: Iterable[Tensor] = ()) -> 'OffloadedTensors':
        """Make a list of tensors that are offloaded."""
        return OffloadedTensors(self, tensors)


class OffloadedTensors(Sequence[Tensor]):
    """A list of tensors without gradients, of which only those read last are on the GPU.

    It suits a clip that is read in order, forwards or backwards: the neighbours of what is read
    are copied to the GPU while the network works. mmagic's BasicVSR++ offloads too
    (``cpu_cache_length``), but its GPU waits for the copies.

    Args:
        memory (MainMemory): Where they are offloaded to.
        tensors (Iterable[Tensor]): The first items. Defaults to none.
    """

    def __init__(self, memory: MainMemory, tensors: Iterable[Tensor] = ()) -> None:
        self._memory = memory
        # Tensors in pinned memory, and when each is there.
        self._offloaded: list[tuple[Tensor, torch.cuda.Event]] = []
        # Tensors on the GPU by place, those read last at the end, and when each is there.
        self._near: OrderedDict[int, tuple[Tensor, torch.cuda.Event | None]] = OrderedDict()
        self._fetches: deque[torch.cuda.Event] = deque()
        for tensor in tensors:
            self.append(tensor)

    def __del__(self) -> None:
        self._memory.held -= sum(pinned.nbytes for pinned, _ in self._offloaded)

    def append(self, tensor: Tensor) -> None:
        """Add a tensor that the current stream makes; it must not be changed afterwards."""
        memory = self._memory
        pinned = torch.empty_like(tensor, device='cpu', pin_memory=True)
        memory.held += pinned.nbytes
        memory.peak = max(memory.peak, memory.held)
        memory.leaving.wait_stream(torch.cuda.current_stream(memory.device))
        with torch.cuda.stream(memory.leaving):
            pinned.copy_(tensor, non_blocking=True)
            self._offloaded.append((pinned, memory.leaving.record_event()))
        # Its memory on the GPU is free only when it has left.
        tensor.record_stream(memory.leaving)
        self._near[len(self) - 1] = tensor, None
        self._forget()
        if len(self) > _AHEAD:
            self._offloaded[-1 - _AHEAD][1].synchronize()

    def __len__(self) -> int:
        return len(self._offloaded)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> '_Places': ...

    def __getitem__(self, index: int | slice) -> 'Tensor | _Places':
        """Return a tensor, for use in the current stream; for a slice, a view."""
        if isinstance(index, slice):
            return _Places(self, range(len(self))[index])
        place = range(len(self))[index]
        tensor, arrived = self._fetch(place)
        if arrived is not None:
            computing = torch.cuda.current_stream(self._memory.device)
            computing.wait_event(arrived)
            tensor.record_stream(computing)
        for neighbour in (place - 1, place + 1):
            if 0 <= neighbour < len(self):
                self._fetch(neighbour)
        self._forget()
        return tensor

    def _fetch(self, place: int) -> tuple[Tensor, torch.cuda.Event | None]:
        """Begin to bring a tensor to the GPU, unless it is there."""
        if place not in self._near:
            memory = self._memory
            self._fetches.append(torch.cuda.current_stream(memory.device).record_event())
            if len(self._fetches) > _AHEAD:
                self._fetches.popleft().synchronize()
            pinned, has_left = self._offloaded[place]
            memory.coming.wait_event(has_left)
            with torch.cuda.stream(memory.coming):
                tensor = torch.empty_like(pinned, device=memory.device)
                tensor.copy_(pinned, non_blocking=True)
                self._near[place] = tensor, memory.coming.record_event()
        self._near.move_to_end(place)
        return self._near[place]

    def _forget(self) -> None:
        while len(self._near) > NEAR:
            self._near.popitem(last=False)


class _Places(Sequence[Tensor]):
    """Some of the tensors, in some order."""

    def __init__(self, tensors: OffloadedTensors, places: range) -> None:
        self._tensors, self._places = tensors, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> '_Places': ...

    def __getitem__(self, index: int | slice) -> 'Tensor | _Places':
        if isinstance(index, slice):
            return _Places(self._tensors, self._places[index])
        return self._tensors[self._places[index]]
