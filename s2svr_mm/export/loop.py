# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The recurrence over a clip, on NumPy arrays, by graphs that something else runs.

``demo/run_onnx.py`` is the same for those who have the files and not this package.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from .graphs import Description

Array = np.ndarray


class Runner(Protocol):
    """What runs a graph."""

    def __call__(self, graph: str, /, **inputs: Array) -> Mapping[str, Array]:
        """Run the graph of a name; return its outputs by their names."""


class Clip:
    """A clip on its way through a network's graphs.

    Args:
        run (Runner): Runs them.
        network (Description): What there is to know of the network.
        frames (Sequence[np.ndarray]): t frames, (1, 3, h, w), RGB in [0, 1], float32.
        flows (tuple[Sequence, Sequence], optional): ``flows_forward`` and ``flows_backward`` as of
            :meth:`.S2SVRNet.compute_flow`, t - 1 of (1, 2, h, w) each. Defaults to None: by the
            graph ``flow``.
    """

    def __init__(
        self,
        run: Runner,
        network: Description,
        frames: Sequence[Array],
        flows: tuple[Sequence[Array], Sequence[Array]] | None = None,
    ) -> None:
        self.run, self.network, self.frames = run, network, frames
        if flows is None:
            pairs = [run('flow', first=a, second=b) for a, b in pairwise(frames)]
            flows = [pair['forward'] for pair in pairs], [pair['backward'] for pair in pairs]
        self.to_next, self.to_previous = flows
        height, width = (-(-side // network.unshuffle) for side in frames[0].shape[2:])
        self.empty = np.zeros((1, network.channels, height, width), np.float32)
        self.still = np.zeros((1, 2, *frames[0].shape[2:]), np.float32)

    def restore(self) -> list[Array]:
        """Restore the clip: t frames, (1, 3, scale * h, scale * w)."""
        return self._by_basicvsr() if self.network.kind == 'basicvsr' else self._by_s2svr()

    def _by_basicvsr(self) -> list[Array]:
        states, state = [], self.empty
        flows = [*self.to_previous, self.still]
        for frame, flow in zip(self.frames[::-1], flows[::-1], strict=True):
            state = self.run('backward', frame=frame, hidden=state, flow=flow)['state']
            states.append(state)
        restored, state = [], self.empty
        flows = [self.still, *self.to_next]
        for frame, flow, other in zip(self.frames, flows, states[::-1], strict=True):
            made = self.run('forward', frame=frame, hidden=state, flow=flow, other=other)
            state = made['state']
            restored.append(made['restored'])
        return restored

    def _by_s2svr(self) -> list[Array]:
        encoded, states = self._encode()
        feedback, joined = encoded[-1], np.concatenate(states, axis=1)
        restored = []
        for i in reversed(range(len(self.frames))):
            more = {}
            if self.network.layers > 1:
                more['neighbours'] = np.concatenate(list(self._neighbours(i, encoded)))
            if self.network.details:
                more['details'] = self._details(i)
            last = i + 1 == len(self.frames)
            flow = self.still if last else self.to_previous[i]
            made = self.run(
                'decoder',
                frame=self.frames[i],
                feedback=feedback,
                states=joined,
                flow=flow,
                **more,
            )
            feedback, joined = made['next_feedback'], made['next_states']
            restored.append(made['restored'])
        return restored[::-1]

    def _encode(self) -> tuple[list[Array], list[Array]]:
        """Return the outputs of the encoder's top layer, and what each layer hands on."""
        count = len(self.frames)
        flows = [self.still, *self.to_next]
        outputs, state = [], self.empty
        for frame, flow in zip(self.frames, flows, strict=True):
            state = self.run('forward', frame=frame, hidden=state, flow=flow)['state']
            outputs.append(state)
        states, state = [state], self.empty
        for i in reversed(range(count)):
            flow = self.to_previous[i] if i + 1 < count else self.still
            given = dict(frame=self.frames[i], hidden=state, flow=flow, other=outputs[i])
            outputs[i] = state = self.run('backward', **given)['state']
        for layer in range(1, self.network.layers):
            state = self.empty
            for i, flow in enumerate(flows):
                made = self.run(f'layer{layer}', below=outputs[i], hidden=state, flow=flow)
                state, outputs[i] = made['state'], made['output']
            states.append(outputs[-1])
        return outputs, states

    def _neighbours(self, i: int, encoded: Sequence[Array]) -> Iterator[Array]:
        """Yield what the attention reads, aligned to frame i, which stands in beyond the ends."""
        yield encoded[i]
        for distance in range(1, self.network.attention_radius + 1):
            for place, flows in (
                (i - distance, self.to_next[max(i - distance, 0) : i]),
                (i + distance, self.to_previous[i : i + distance][::-1]),
            ):
                inside = 0 <= place < len(encoded)
                value = encoded[place if inside else i]
                for flow in flows if inside else ():
                    value = self.run('warp', features=value, flow=flow)['aligned']
                yield value

    def _details(self, i: int) -> Array:
        """Run the detail branch on frame i, which stands in beyond the ends."""
        frame, count = self.frames[i], len(self.frames)
        more = {}
        if self.network.aligned:
            sides = (
                self._aligned(frame, self.frames[:i][::-1], self.to_next[:i][::-1]),
                self._aligned(frame, self.frames[i + 1 :], self.to_previous[i:]),
            )
            more['aligned'] = np.concatenate([x for pair in zip(*sides, strict=True) for x in pair])
        if self.network.in_place:
            places = [
                place
                for distance in range(1, self.network.in_place + 1)
                for place in (i - distance, i + distance)
            ]
            more['in_place'] = np.concatenate(
                [self.frames[p] if 0 <= p < count else frame for p in places]
            )
        return self.run('details', frame=frame, **more)['residual']

    def _aligned(
        self, frame: Array, neighbours: Sequence[Array], steps: Sequence[Array]
    ) -> list[Array]:
        """Align the frames of one side, nearest first."""
        aligned: list[Array] = []
        flow = self.still
        for neighbour, step in zip(neighbours, steps, strict=True):
            if len(aligned) == self.network.aligned:
                break
            if not aligned:
                flow = step
                aligned.append(self.run('align_near', neighbour=neighbour, flow=flow)['aligned'])
            else:
                given = dict(frame=frame, neighbour=neighbour, flow=flow, step=step)
                made = self.run('align_far', **given)
                flow = made['longer']
                aligned.append(made['aligned'])
        return aligned + [frame] * (self.network.aligned - len(aligned))
