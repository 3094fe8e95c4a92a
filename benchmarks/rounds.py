# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Networks beside one another, run in rounds: time, memory, agreement."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.cases import Case, moving_clip
from benchmarks.measuring import ConvolutionPeak, measure, measure_memory_alone
from s2svr_mm.utils.profiling import count_macs


def name_of(dtype: torch.dtype) -> str:
    """'float32' for torch.float32."""
    return str(dtype).removeprefix('torch.')


@dataclass
class Result:
    """What was measured of one case, run after run.

    Attributes:
        case (Case): The case.
        frames (int): Frames of one run, those of all clips of the batch.
        macs (int): Multiply-adds of one run.
        seconds (list[float]): Of each run.
        memory (list[int]): Peak bytes of each run beyond those held before.
    """

    case: Case
    frames: int
    macs: int = 0
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def compare(
    cases: Sequence[Case],
    clip: Tensor,
    rounds: int,
    peaks: Sequence[ConvolutionPeak] = (),
    report: Callable[[str], None] = lambda _: None,
) -> tuple[list[Result], dict[int, Tensor]]:
    """Runs cases in turn, round after round, so that what drifts hits all alike.

    A first run of each, not timed, counts the multiply-adds and warms up.

    Args:
        cases (Sequence[Case]): What to run.
        clip (Tensor): (n, t, 3, h, w), on the device.
        rounds (int): How many rounds.
        peaks (Sequence[ConvolutionPeak]): Measured again in each round. Default: none.
        report (Callable): Told what goes on. Default: nobody.

    Returns:
        tuple[list[Result], dict[int, Tensor]]: A result for each case, and the outputs of whole
        networks in inference, by the number of the case, on the CPU.
    """
    results, outputs = [], {}
    for number, case in enumerate(cases):
        report(f'warming up: {case.name}')
        result = Result(case, clip.shape[0] * clip.shape[1])
        results.append(result)
        outputs[number] = _first_run(result, clip, results)
    # What the counter leaves behind must not be freed in the middle of a measurement.
    gc.collect()
    for turn in range(rounds):
        for peak in peaks:
            peak.measure()
        for result in results:
            measured = measure(lambda case=result.case: case.run(clip), clip.device)
            result.seconds.append(measured.seconds)
            if measured.memory is not None:
                result.memory.append(measured.memory)
            report(f'round {turn + 1} of {rounds}: {result.case.name} {measured.seconds:.3g} s')
    for result in results:
        if not result.memory:
            result.memory.append(
                measure_memory_alone(lambda case=result.case: case.run(clip), clip.device)
            )
    return results, {number: out for number, out in outputs.items() if out is not None}


def _first_run(result: Result, clip: Tensor, results: Sequence[Result]) -> Tensor | None:
    """Counts the multiply-adds of a case; returns the output of a whole network."""
    case, output = result.case, None

    def run() -> None:
        nonlocal output
        output = case.run(clip)

    if case.eager is None:
        result.macs = count_macs(run)
    else:
        run()
        result.macs = next(other.macs for other in results if other.case is case.eager)
    return output.float().cpu() if isinstance(output, Tensor) else None


@dataclass(frozen=True)
class Agreement:
    """How far the output of a case is from that of a reference.

    Attributes:
        case (Case): The case.
        reference (Case): The reference.
        difference (float): Largest absolute difference, of values in [0, 1].
        psnr (float): PSNR between both in dB, peak 1; infinite if they are equal.
    """

    case: Case
    reference: Case
    difference: float
    psnr: float


def agreements(cases: Sequence[Case], outputs: dict[int, Tensor]) -> Iterator[Agreement]:
    """Compares every form of S2SVR with one of them.

    Args:
        cases (Sequence[Case]): As given to :func:`compare`.
        outputs (dict[int, Tensor]): As it returned them.

    Yields:
        Agreement: With the plain form, or else with S2SVR in float32, of each other form.
    """
    forms = [n for n in outputs if cases[n].key in ('s2svr', 'plain')]
    full = [n for n in forms if cases[n].dtype == torch.float32]
    full.sort(key=lambda n: cases[n].key != 'plain')
    for number in forms:
        if full and number != full[0]:
            error = (outputs[number] - outputs[full[0]]).double()
            mean = error.square().mean()
            psnr = float(-10 * torch.log10(mean)) if mean > 0 else float('inf')
            yield Agreement(cases[number], cases[full[0]], float(error.abs().max()), psnr)


def sweep(
    case: Case,
    points: Sequence[tuple[int, tuple[int, int]]],
    rounds: int,
    report: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Runs one case on clips of several lengths and sizes, in turn.

    Args:
        case (Case): What to run.
        points (Sequence[tuple[int, tuple[int, int]]]): Frames, and height and width.
        rounds (int): How many rounds, after a run of each to warm up.
        report (Callable): Told what goes on. Default: nobody.

    Returns:
        list[Result]: A result for each point.
    """
    device = next(case.net.parameters()).device
    results = [Result(case, frames) for frames, _ in points]
    for turn in range(rounds + 1):
        for result, (frames, size) in zip(results, points, strict=True):
            clip = moving_clip(frames, size).to(device)
            measured = measure(lambda clip=clip: case.run(clip), device)
            report(f'sweep: {frames} frames of {size[1]}x{size[0]} {measured.seconds:.3g} s')
            if turn > 0:
                result.seconds.append(measured.seconds)
                result.memory.append(
                    measured.memory
                    if measured.memory is not None
                    else measure_memory_alone(lambda clip=clip: case.run(clip), device)
                )
    return results
