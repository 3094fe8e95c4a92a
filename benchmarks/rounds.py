# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Networks beside one another, run in rounds: time, memory, agreement."""

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

import torch
from torch import Tensor

from benchmarks.cases import Case, moving_clip
from benchmarks.measuring import ConvolutionPeak, peak_memory_of, seconds_of
from s2svr_mm.utils.profiling import count_macs

# Share of the median that the middle half of the rounds may span.
STEADY = 0.1


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
        peaks (list[float]): Operations a second of a lone convolution beside each run.
        memory (int): Peak bytes of a run beyond those held before.
    """

    case: Case
    frames: int
    macs: int = 0
    seconds: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    memory: int = 0

    def ratios(self, base: 'Result') -> list[float]:
        """How many times faster it is than a base, round by round."""
        return [b / s for b, s in zip(base.seconds, self.seconds, strict=True)]


def spread(values: Sequence[float]) -> float:
    """Interquartile range over the median; 0 of a single value."""
    if len(values) < 2:
        return 0.0
    low, middle, high = quantiles(values, n=4, method='inclusive')
    return (high - low) / middle


def compare(
    cases: Sequence[Case],
    clip: Tensor,
    rounds: int,
    peaks: Sequence[ConvolutionPeak] = (),
    base: Case | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[list[Result], dict[int, Tensor]]:
    """Run cases in turn, round after round, so that what drifts affects all alike.

    A first run of each, not timed, counts the multiply-adds and warms up. Memory is measured after
    the last round, in runs of its own. Rounds go on, up to three times as many, while the speed of
    some case over that of the base has a :func:`spread` above ``STEADY``.

    Args:
        cases (Sequence[Case]): What to run.
        clip (Tensor): (n, t, 3, h, w), on the device.
        rounds (int): How many rounds at least.
        peaks (Sequence[ConvolutionPeak]): Measured before and after each run of their type.
            Defaults to ().
        base (Case, optional): What the others are compared with. Defaults to None.
        report (Callable): Called with a line of status. Defaults to nothing.

    Returns:
        tuple[list[Result], dict[int, Tensor]]: A result for each case, and the outputs of whole
        networks in inference, by the number of the case, on the CPU.
    """
    results: list[Result] = []
    outputs = {}
    for number, case in enumerate(cases):
        report(f'warming up: {case.name}')
        result = Result(case, clip.shape[0] * clip.shape[1])
        results.append(result)
        outputs[number] = _first_run(result, clip, results)
    # What the counter leaves behind must not be freed in the middle of a measurement.
    gc.collect()
    of_base = next((result for result in results if result.case is base), None)
    for turn in range(3 * rounds):
        if turn >= rounds and (of_base is None or all_steady(results, of_base)):
            break
        for result in results:
            beside = [peak for peak in peaks if peak.dtype == result.case.dtype]
            before = [peak.measure() for peak in beside]
            seconds = seconds_of(functools.partial(result.case.run, clip), clip.device)
            result.seconds.append(seconds)
            result.peaks.append(max(before + [peak.measure() for peak in beside], default=0.0))
            report(f'round {turn + 1}: {result.case.name} {seconds:.3g} s')
    for result in results:
        result.memory = peak_memory_of(functools.partial(result.case.run, clip), clip.device)
    return results, {number: out for number, out in outputs.items() if out is not None}


def all_steady(results: Sequence[Result], base: Result) -> bool:
    """Whether all were so many times faster than the base in most rounds."""
    return all(spread(result.ratios(base)) <= STEADY for result in results)


def _first_run(result: Result, clip: Tensor, results: Sequence[Result]) -> Tensor | None:
    """Count the multiply-adds of a case; return the output of a whole network."""
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
    """Compare every form of S2SVR with one of them.

    Args:
        cases (Sequence[Case]): As given to :func:`compare`.
        outputs (dict[int, Tensor]): As it returned them.

    Yields:
        Agreement: With the reference, or else with S2SVR in float32, of each other form.
    """
    forms = [n for n in outputs if cases[n].key in ('s2svr', 'reference')]
    full = [n for n in forms if cases[n].dtype == torch.float32]
    full.sort(key=lambda n: cases[n].key != 'reference')
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
    """Run one case on clips of several lengths and sizes, in turn.

    Args:
        case (Case): What to run.
        points (Sequence[tuple[int, tuple[int, int]]]): Frames, and height and width.
        rounds (int): How many rounds, after a run of each to warm up.
        report (Callable): Called with a line of status. Defaults to nothing.

    Returns:
        list[Result]: A result for each point.
    """
    device = next(case.net.parameters()).device
    results = [Result(case, frames) for frames, _ in points]
    for turn in range(rounds + 1):
        for result, (frames, size) in zip(results, points, strict=True):
            run = functools.partial(case.run, moving_clip(frames, size).to(device))
            seconds = seconds_of(run, device)
            report(f'sweep: {frames} frames of {size[1]}x{size[0]} {seconds:.3g} s')
            if turn > 0:
                result.seconds.append(seconds)
            if turn == rounds:
                result.memory = peak_memory_of(run, device)
    return results
