# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Summary of the restoration of a video."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .planning import Decision

# Cuts that a summary names; all are in :attr:`Summary.cuts`.
_LISTED = 20


@dataclass
class Summary:
    """Outputs, speed, memory and notes of one call of :func:`.restore_video.restore_video`.

    Attributes:
        outputs (list[str]): Files or folders written.
        frames (int): Frames of the output.
        resumed (int): How many of them an earlier run had restored.
        seconds (float): How long this run took.
        restoring (float): How much of it went from the first frame read to the last one encoded.
        size (tuple[int, int]): Width and height of the input.
        output_size (tuple[int, int]): Width and height of the output.
        decision (Decision): Windows, tiles and type.
        device (str): Where the network ran.
        host_peak (int): Peak of main memory, bytes.
        device_peak (int): Peak of the GPU's memory, bytes; 0 on a CPU.
        encoder (str): Encoder and pixel format; empty for frames.
        cuts (list[tuple[int, float]]): Frames that a scene begins with, by number and seconds in
            the input; the first frame is not among them.
        damage (str, optional): What is missing in the output because the input lacks it.
        notes (list[str]): Further remarks for the user.
    """

    outputs: list[str]
    frames: int
    resumed: int
    seconds: float
    restoring: float
    size: tuple[int, int]
    output_size: tuple[int, int]
    decision: Decision
    device: str
    host_peak: int
    device_peak: int
    encoder: str
    cuts: list[tuple[int, float]]
    damage: str | None
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        before, after = ('x'.join(map(str, size)) for size in (self.size, self.output_size))
        fresh = self.frames - self.resumed
        lines = [
            f'{self.frames} frames {before} -> {after} in {", ".join(self.outputs)}'
            + (f' ({self.encoder})' if self.encoder else ''),
            f'{fresh} restored in {self.seconds:.1f} s, {self.restoring:.1f} s of them for the '
            f'frames themselves ({fresh / max(self.restoring, 1e-9):.2f} frames/s)'
            + (f'; {self.resumed} were there from an earlier run' * bool(self.resumed)),
            f'{self.decision} on {self.device}',
            f'peak memory {self.host_peak / 2**20:.0f} MB'
            + (f', GPU {self.device_peak / 2**20:.0f} MB' if self.device_peak else ''),
            *([_scenes(self.cuts)] if self.cuts else []),
            *(f'note: {note}' for note in self.notes),
        ]
        if self.damage:
            lines.append(f'warning: only the good part was restored. {self.damage}')
        return '\n'.join(lines)


def _scenes(cuts: Sequence[tuple[int, float]]) -> str:
    listed = ', '.join(f'{frame} ({seconds:.2f} s)' for frame, seconds in cuts[:_LISTED])
    more = f' and {len(cuts) - _LISTED} more' if len(cuts) > _LISTED else ''
    return f'{len(cuts) + 1} scenes, each restored by itself; cuts before frames {listed}{more}'


def joined(summaries: Sequence[Summary]) -> Summary:
    """Join the summaries of several outputs of one input.

    Args:
        summaries (Sequence[Summary]): At least one, in order.

    Returns:
        Summary: All outputs, cuts and notes, sums of frames and times, and the highest peaks; the
        rest is that of the first one.
    """
    first, *others = summaries
    notes = list(first.notes)
    for other in others:
        width, height = other.size
        notes.append(f'{other.outputs[0]}: {other.frames} frames of {width}x{height}')
        notes += [note for note in other.notes if note not in notes]
    return replace(
        first,
        outputs=[output for summary in summaries for output in summary.outputs],
        frames=sum(summary.frames for summary in summaries),
        resumed=sum(summary.resumed for summary in summaries),
        seconds=sum(summary.seconds for summary in summaries),
        restoring=sum(summary.restoring for summary in summaries),
        cuts=[cut for summary in summaries for cut in summary.cuts],
        host_peak=max(summary.host_peak for summary in summaries),
        device_peak=max(summary.device_peak for summary in summaries),
        damage=next((summary.damage for summary in summaries if summary.damage), None),
        notes=notes,
    )
