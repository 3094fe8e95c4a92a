# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What the benchmark found, as figures for JSON, Markdown tables and a plot."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.operator_profile import Profile
from benchmarks.plot import plot
from benchmarks.rounds import STEADY, Agreement, Result, name_of, spread
from s2svr_mm.utils.manifest import write_made
from s2svr_mm.utils.tables import markdown_table

_MIB = 2**20


@dataclass
class Report:
    """All that one run of the benchmark found.

    Attributes:
        settings (dict): The command line.
        machine (dict): What it ran on.
        memory_is (str): What the figures of memory count.
        peaks (dict[str, float]): Operations a second of a lone convolution, by type.
        results (list[Result]): One for each case.
        base (Result): What the others are compared with.
        agreements (list[Agreement]): Between the forms of S2SVR.
        sweep (list[tuple[tuple[int, int], Result]]): Height and width, and what was measured.
        profiles (dict[str, Profile]): By type.
    """

    settings: Mapping[str, object]
    machine: Mapping[str, object]
    memory_is: str
    peaks: Mapping[str, float]
    results: Sequence[Result]
    base: Result
    agreements: Sequence[Agreement] = ()
    sweep: Sequence[tuple[tuple[int, int], Result]] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    def figures(self) -> dict[str, object]:
        """Every figure, for JSON."""
        return dict(
            settings=dict(self.settings),
            machine=dict(self.machine),
            memory_is=self.memory_is,
            convolution_peak_tflops={name: peak / 1e12 for name, peak in self.peaks.items()},
            base=self.base.case.name,
            results=[self._figures_of(result) for result in self.results],
            agreement=[
                dict(
                    name=a.case.name,
                    dtype=name_of(a.case.dtype),
                    reference=a.reference.name,
                    max_difference=a.difference,
                    psnr=a.psnr if a.psnr < float('inf') else None,
                )
                for a in self.agreements
            ],
            sweep=[
                dict(
                    frames=result.frames,
                    width=width,
                    height=height,
                    seconds=result.seconds,
                    memory_bytes=result.memory,
                )
                for (height, width), result in self.sweep
            ],
            profile={
                name: dict(asdict(found), seconds=found.seconds)
                for name, found in self.profiles.items()
            },
        )

    def _figures_of(self, result: Result) -> dict[str, object]:
        case = result.case
        seconds = median(result.seconds)
        figures = dict(
            name=case.name,
            dtype=name_of(case.dtype),
            training=case.training,
            frames=result.frames,
            parameters=sum(p.numel() for p in case.net.parameters()),
            macs=result.macs,
            seconds=result.seconds,
            memory_bytes=result.memory,
            seconds_per_frame=seconds / result.frames,
            frames_per_second=result.frames / seconds,
            share_of_peak=median(
                2 * result.macs / s / peak
                for s, peak in zip(result.seconds, result.peaks, strict=True)
            ),
        )
        if case.whole is not None:
            shares = result.ratios(next(r for r in self.results if r.case is case.whole))
            return figures | dict(share_of_whole=[1 / share for share in shares])
        return figures | dict(
            times_faster_than_base=result.ratios(self.base),
            memory_of_base=result.memory / max(self.base.memory, 1),
        )

    def markdown(self) -> str:
        """Every table, with the machine and what the columns mean."""
        parts = [_machine_line(self.machine), _settings_line(self.settings)]
        peaks = ', '.join(f'{peak / 1e12:.3g} TFLOP/s in {n}' for n, peak in self.peaks.items())
        parts.append(
            f'A lone convolution of 64 to 64 channels, 3x3, channels_last, reaches {peaks}: the '
            'peak of which the table gives the share. Time and ratios are medians (least to '
            f'most of {len(self.base.seconds)} rounds, ratios and shares within each round); '
            f'memory ({self.memory_is}) is the most beyond what was held before a run of its own.'
        )
        parts.append(self._main_table())
        for result in self.results:
            if (found := spread(result.ratios(self.base))) > STEADY:
                parts.append(
                    f'Unsteady: the middle half of the ratios of {result.case.name} in '
                    f'{name_of(result.case.dtype)} spans {100 * found:.0f} % of their median.'
                )
        for a in self.agreements:
            parts.append(
                f'{a.case.name} in {name_of(a.case.dtype)} against {a.reference.name} in '
                f'{name_of(a.reference.dtype)}: at most {a.difference:.2g} apart, '
                f'{a.psnr:.1f} dB.'
            )
        if self.sweep:
            parts.append(self._sweep_table())
        for name, found in self.profiles.items():
            parts.append(_profile_table(name, found, self.peaks[name]))
        return '\n\n'.join(parts) + '\n'

    def _main_table(self) -> str:
        rows = []
        for result in self.results:
            f = self._figures_of(result)
            per_frame = [s / result.frames for s in result.seconds]
            if 'share_of_whole' in f:
                shares = [100 * share for share in f['share_of_whole']]
                ratio, memory = f'{_spread(shares, 1)} % of its time', ''
            else:
                ratio = _spread(f['times_faster_than_base'])
                memory = f'{f["memory_of_base"]:.2f}'
            rows.append(
                (
                    f['name'],
                    f['dtype'],
                    _spread(per_frame, digits=3),
                    f'{f["frames_per_second"]:.3g}',
                    ratio,
                    f'{result.memory / _MIB:.0f}',
                    memory,
                    f'{f["parameters"] / 1e6:.2f}',
                    f'{result.macs / result.frames / 1e9:.1f}',
                    f'{f["share_of_peak"]:.2f}',
                )
            )
        base = self.base.case.name
        heads = (
            'network',
            'type',
            's per frame',
            'frames/s',
            f'times faster than {base}',
            'memory, MiB',
            f'of that of {base}',
            'parameters, M',
            'multiply-adds per frame, G',
            'share of peak',
        )
        return _table(heads, rows)

    def _sweep_table(self) -> str:
        first = self.sweep[0][1]
        rows = [
            (
                result.frames,
                f'{width}x{height}',
                _spread(result.seconds, digits=3),
                _spread(first.ratios(result)),
                f'{result.memory / _MIB:.0f}',
                f'{result.memory / _MIB / result.frames:.2f}',
                f'{result.memory / result.frames / (height * width):.0f}',
            )
            for (height, width), result in self.sweep
        ]
        heads = (
            'frames',
            'size',
            'seconds',
            'times the first',
            'memory, MiB',
            'MiB per frame',
            'bytes per frame and pixel',
        )
        return _table(heads, rows)

    def write(self, folder: str) -> list[Path]:
        """Write ``results.json``, ``table.md`` and ``plot.png``.

        Args:
            folder (str): Where to; made if need be.

        Returns:
            list[Path]: The files.

        Raises:
            OutputError: The folder holds files of these names that were not made here.
        """
        root = Path(folder)
        picture = io.BytesIO()
        plot(picture, self.results, self.sweep)
        contents = {
            'results.json': (json.dumps(self.figures(), indent=1) + '\n').encode(),
            'table.md': self.markdown().encode(),
            'plot.png': picture.getvalue(),
        }
        write_made(root, contents)
        return [root / name for name in contents]


def _spread(values: Sequence[float], digits: int = 2) -> str:
    if digits == 1:
        middle, least, most = (f'{v:.1f}' for v in (median(values), min(values), max(values)))
    else:
        middle, least, most = (
            f'{v:.{digits}g}' if v < 10 ** (digits - 1) else f'{v:.1f}'
            for v in (median(values), min(values), max(values))
        )
    return f'{middle} ({least} to {most})'


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return markdown_table(heads, ([str(cell) for cell in row] for row in rows)).rstrip()


def _machine_line(machine: Mapping[str, object]) -> str:
    told = [
        f'{name} {", ".join(value) if isinstance(value, list) else value}'
        for name, value in machine.items()
        if value not in ([], None)
    ]
    return 'Machine: ' + '; '.join(told) + '.'


def _settings_line(settings: Mapping[str, object]) -> str:
    return 'Command: `' + str(settings['command']) + '`'


def _profile_table(name: str, found: Profile, peak: float) -> str:
    """Shares of the time by kind, then the convolutions that take most of it."""
    total = found.seconds
    kinds = sorted(
        {**found.flow, **found.rest},
        key=lambda kind: -(found.flow.get(kind, 0) + found.rest.get(kind, 0)),
    )
    rows = [
        (
            kind,
            *(f'{100 * part.get(kind, 0) / total:.1f} %' for part in (found.rest, found.flow)),
            f'{100 * (found.rest.get(kind, 0) + found.flow.get(kind, 0)) / total:.1f} %',
        )
        for kind in kinds
    ]
    sums = [sum(part.values()) for part in (found.rest, found.flow)]
    rows.append(('all', *(f'{100 * s / total:.1f} %' for s in (*sums, total))))
    heads = ('time goes to', 'encoder and decoder', 'flow network', 'both')
    bound = sum(shape.flops for shape in found.convolutions) / peak / total
    slowest = [
        (
            shape.text,
            shape.calls,
            f'{100 * shape.seconds / total:.1f} %',
            f'{shape.flops / shape.seconds / peak:.2f}',
        )
        for shape in found.convolutions[:12]
    ]
    return (
        f'Profile in {name}. At the peak the convolutions alone would take {100 * bound:.1f} % of '
        'this time: the bound.\n\n'
        + _table(heads, rows)
        + '\n\n'
        + _table(('convolutions of', 'calls', 'of the time', 'share of peak'), slowest)
    )
