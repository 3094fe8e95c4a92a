# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restore frames by the files of ``s2svr export``, with NumPy and ONNX Runtime alone.

A loop to copy into a program of one's own; docs/export.md explains it.
"""

import argparse
import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np


class Network:
    """An exported network: ``restore`` takes t frames (1, 3, h, w), RGB in [0, 1], float32."""

    def __init__(self, folder):
        import onnxruntime  # here, so that --help needs none

        manifest = json.loads((Path(folder) / 'manifest.json').read_text())
        if manifest['format'] != 2:
            raise SystemExit(f'{folder}: this program reads format 2, not {manifest["format"]}')
        self.about, self.sessions = manifest['network'], {}
        self.flow_outside = manifest['flow_outside']
        for name, graph in manifest['graphs'].items():
            content = (Path(folder) / graph['file']).read_bytes()
            if hashlib.sha256(content).hexdigest() != graph['sha256']:
                raise SystemExit(f'{folder}/{graph["file"]} differs from what was exported')
            self.sessions[name] = onnxruntime.InferenceSession(content)

    def run(self, graph, **inputs):
        """Run a graph; return its outputs as a list."""
        return self.sessions[graph].run(None, inputs)

    def restore(self, frames, flows=None):
        """Restore a clip; ``flows`` are those of ``flow.onnx``, a pair for each two frames."""
        about, t = self.about, len(frames)
        if flows is None and self.flow_outside:
            raise SystemExit(self.flow_outside)
        if flows is None:
            flows = [self.run('flow', first=a, second=b) for a, b in pairwise(frames)]
        # No frame comes before the first, nor after the last: the flow is zero there.
        still = np.zeros_like(frames[0][:, :2])
        to_next = [still, *(forward for forward, _ in flows)]
        to_previous = [*(backward for _, backward in flows), still]
        sides = (-(-side // about['unshuffle']) for side in frames[0].shape[2:])
        empty = np.zeros((1, about['channels'], *sides), np.float32)
        if about['kind'] == 'basicvsr':
            return self.basicvsr(frames, to_next, to_previous, empty)
        # The encoder: forward, backward, then its upper layers forward.
        x, state = [None] * t, empty
        for i in range(t):
            (state,) = self.run('forward', frame=frames[i], hidden=state, flow=to_next[i])
            x[i] = state
        states, state = [state], empty
        for i in reversed(range(t)):
            given = dict(frame=frames[i], hidden=state, flow=to_previous[i], other=x[i])
            (state,) = self.run('backward', **given)
            x[i] = state
        for layer in range(1, about['layers']):
            state = empty
            for i in range(t):
                given = dict(below=x[i], hidden=state, flow=to_next[i])
                state, x[i] = self.run(f'layer{layer}', **given)
            states.append(x[-1])
        # The decoder: from the last frame to the first.
        feedback, states, restored = x[-1], np.concatenate(states, axis=1), [None] * t
        for i in reversed(range(t)):
            given = dict(frame=frames[i], feedback=feedback, states=states, flow=to_previous[i])
            if about['layers'] > 1:
                given['neighbours'] = self.neighbours(i, x, to_next, to_previous)
            if about['details']:
                given['details'] = self.details(i, frames, to_next, to_previous)
            restored[i], feedback, states = self.run('decoder', **given)
        return restored

    def basicvsr(self, frames, to_next, to_previous, empty):
        """Restore by a BasicVSR: from the last frame to the first, then from the first on."""
        t = len(frames)
        x, restored, state = [None] * t, [None] * t, empty
        for i in reversed(range(t)):
            (state,) = self.run('backward', frame=frames[i], hidden=state, flow=to_previous[i])
            x[i] = state
        state = empty
        for i in range(t):
            given = dict(frame=frames[i], hidden=state, flow=to_next[i], other=x[i])
            state, restored[i] = self.run('forward', **given)
        return restored

    def neighbours(self, i, x, to_next, to_previous):
        """Align the encoder's outputs around frame i, which stands in beyond the ends."""
        values = [x[i]]
        for distance in range(1, self.about['attention_radius'] + 1):
            for step, flows in ((-1, to_next), (1, to_previous)):
                place = i + step * distance
                value = x[place] if 0 <= place < len(x) else x[i]
                while place != i and 0 <= place < len(x):
                    place -= step
                    (value,) = self.run('warp', features=value, flow=flows[place])
                values.append(value)
        return np.concatenate(values)

    def details(self, i, frames, to_next, to_previous):
        """Compare frame i with its neighbours; it stands in for those beyond the ends."""
        about, frame, given = self.about, frames[i], {}
        before, after = frames[:i][::-1], frames[i + 1 :]
        if about['aligned']:
            sides = []
            for near, flows in ((before, to_next[1 : i + 1][::-1]), (after, to_previous[i:])):
                aligned, flow = [], None
                for other, step in list(zip(near, flows, strict=False))[: about['aligned']]:
                    if flow is None:
                        (seen,), flow = self.run('align_near', neighbour=other, flow=step), step
                    else:
                        far = dict(frame=frame, neighbour=other, flow=flow, step=step)
                        seen, flow = self.run('align_far', **far)
                    aligned.append(seen)
                sides.append(aligned + [frame] * (about['aligned'] - len(aligned)))
            given['aligned'] = by_turns(*sides)
        if count := about['in_place']:
            given['in_place'] = by_turns(
                *((side + [frame] * count)[:count] for side in (before, after))
            )
        return self.run('details', frame=frame, **given)[0]


def by_turns(before, after):
    """Stack frames of both sides: the nearest of each, the next of each, ..."""
    return np.concatenate([x for pair in zip(before, after, strict=True) for x in pair])


def parse_args():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('network', help='folder that s2svr export wrote')
    parser.add_argument('src', help='.npy file of frames, (t, h, w, 3), RGB, uint8')
    parser.add_argument('dst', help='.npy file to write')
    return parser.parse_args()


def main():
    """Restore the frames of one file to another."""
    args = parse_args()
    clip = np.load(args.src).astype(np.float32).transpose(0, 3, 1, 2) / 255
    restored = np.concatenate(Network(args.network).restore([frame[None] for frame in clip]))
    frames = (restored.clip(0, 1) * 255).round().astype(np.uint8)
    np.save(args.dst, frames.transpose(0, 2, 3, 1))


if __name__ == '__main__':
    main()
