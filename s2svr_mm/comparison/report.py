# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The report of a comparison: one HTML file that opens offline."""

import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import ConfigError
from ..utils.manifest import write_made
from .comparison import FILES, ClipResult, Comparison
from .methods import GROUND_TRUTH
from .pictures import ClipPictures, clip_pictures
from .tables import COLUMNS, FRAME_FIGURES, Tables

MAX_BYTES = 9_500_000
# Clips with pictures, moments of each, and JPEG's quality (None for PNG): the first that fits.
LEVELS: tuple[tuple[int, int, int | None], ...] = (
    (12, 3, None),
    (12, 3, 95),
    (8, 3, 92),
    (6, 2, 90),
    (4, 2, 90),
    (3, 1, 85),
    (1, 1, 80),
    (0, 0, None),
)
_TEMPLATE = files('s2svr_mm.comparison') / 'report.html'
_SLOT = '@DATA@'


def write_comparison(
    comparison: Comparison, results: Sequence[ClipResult], title: str
) -> list[Path]:
    """Write ``results.csv``, ``table.md`` and ``report.html``.

    Args:
        comparison (Comparison): What was compared.
        results (Sequence[ClipResult]): What :meth:`Comparison.run` returned.
        title (str): Heading of the report.

    Returns:
        list[Path]: The files.

    Raises:
        ConfigError: The figures alone are too many for one page.
    """
    tables = Tables(results, comparison.baseline.name)
    report = build_report(comparison, results, tables, title)
    texts = zip(FILES, (tables.to_csv(), tables.to_markdown(), report), strict=True)
    write_made(comparison.root, {name: text.encode() for name, text in texts})
    return [comparison.root / name for name in FILES]


def build_report(
    comparison: Comparison,
    results: Sequence[ClipResult],
    tables: Tables,
    title: str,
    max_bytes: int = MAX_BYTES,
) -> str:
    """Build the page, with as many pictures and as good ones as its size allows.

    Args:
        comparison (Comparison): What was compared.
        results (Sequence[ClipResult]): Its results.
        tables (Tables): Their means.
        title (str): Heading.
        max_bytes (int): Limit of its size. Default: 9.5 MB.

    Returns:
        str: HTML.

    Raises:
        ConfigError: The figures alone are more than that.
    """
    by_clip: dict[tuple[str, str], list[ClipResult]] = {}
    for result in results:
        by_clip.setdefault((result.group, result.clip), []).append(result)
    data = _figures(comparison, by_clip, tables, title)
    pictures = _all_pictures(comparison, by_clip)
    for clips, moments, quality in LEVELS:
        shown = dict(list(pictures.items())[:clips])
        for clip in data['clips']:
            found = shown.get((clip['group'], clip['key']))
            clip['pictures'] = found and found.encoded(moments, quality)
        page = _page(data)
        size = len(page.encode())
        if size <= max_bytes:
            return page
    raise ConfigError(
        f'the figures alone make a report of {size / 1e6:.1f} MB, more than '
        f'{max_bytes / 1e6:.1f}: compare fewer clips at once, or fewer frames of each (--frames)'
    )


def _all_pictures(
    comparison: Comparison, by_clip: dict[tuple[str, str], list[ClipResult]]
) -> dict[tuple[str, str], ClipPictures]:
    """Pictures of the clips on which networks differ most, from each set in turn."""
    networks = {network.name for network in comparison.networks}
    ranked: dict[str, list[tuple[float, tuple[str, str]]]] = {}
    for place, results in by_clip.items():
        wanted = networks if len(networks) > 1 else {*networks, comparison.baseline.name}
        means = [r.mean('psnr_rgb') for r in results if r.method in wanted]
        known = [math.nan if mean is None else mean for mean in means]
        spread = max(known) - min(known)
        ranked.setdefault(place[0], []).append((0.0 if math.isnan(spread) else spread, place))
    turns = []
    for group in ranked.values():
        group.sort(key=lambda item: -item[0])
        turns += [(turn, place) for turn, (_, place) in enumerate(group)]
    turns.sort(key=lambda item: item[0])
    most_clips, most_moments, _ = LEVELS[0]
    clips = {(clip.group, clip.key): clip for clip in comparison.clips}
    return {
        place: clip_pictures(
            clips[place], by_clip[place], comparison.networks, comparison.scale, most_moments
        )
        for _, place in tqdm(
            turns[:most_clips], desc='pictures', unit='clips', disable=not comparison.progress
        )
    }


def _figures(
    comparison: Comparison,
    by_clip: dict[tuple[str, str], list[ClipResult]],
    tables: Tables,
    title: str,
) -> dict[str, Any]:
    """Everything that the page shows, but for the pictures."""
    groups = []
    for name in tables.groups:
        columns, best = tables.columns(name), tables.best(name)
        rows = []
        for method, row in tables.of_group(name).iterrows():
            cells = [
                {
                    'text': column.text(row[column.key]),
                    'value': _number(row[column.key], 8),
                    'best': method not in tables.references
                    and column.text(row[column.key]) == best[column.key],
                }
                for column in columns
            ]
            rows.append({'method': method, 'cells': cells})
        clips, frames = tables.num_clips(name)
        heads = [{'heading': column.heading, 'best': column.best} for column in columns]
        groups.append(
            {'name': name, 'clips': clips, 'frames': frames, 'columns': heads, 'rows': rows}
        )
    known = {column.key: column for column in COLUMNS}
    figures = [
        {
            'key': key,
            'heading': known[key].heading,
            'digits': known[key].digits,
            'best': known[key].best,
        }
        for key in FRAME_FIGURES
    ]
    return {
        'title': title,
        'baseline': comparison.baseline.name,
        'truth': GROUND_TRUTH,
        'scale': comparison.scale,
        'methods': list(dict.fromkeys(r.method for results in by_clip.values() for r in results)),
        'figures': figures,
        'groups': groups,
        'clips': [_clip(place, results, tables) for place, results in by_clip.items()],
    }


def _clip(place: tuple[str, str], results: Sequence[ClipResult], tables: Tables) -> dict[str, Any]:
    units = {column.key: column.unit for column in COLUMNS}
    methods = {}
    for result in results:
        means = tables.clips.loc[(*place, result.method)]
        methods[result.method] = {
            'settings': '; '.join([result.settings, *result.notes]),
            'means': {key: _number(means[key], 6, units[key]) for key in FRAME_FIGURES},
            'frames': {
                key: [_number(value, 5, units[key]) for value in values]
                for key, values in result.figures.items()
            },
        }
    return {
        'group': place[0],
        'key': place[1],
        'size': results[0].size[::-1],
        'frames': results[0].num_frames,
        'methods': methods,
    }


def _number(value: float | None, digits: int, unit: float = 1.0) -> float | None:
    """Return a figure as JSON has it: some digits, and none for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f'{value / unit:.{digits}g}')


def _page(data: dict[str, Any]) -> str:
    # '<' could end the element that the data stands in.
    text = json.dumps(data, separators=(',', ':'), allow_nan=False).replace('<', '\\u003c')
    template = _TEMPLATE.read_text(encoding='utf-8')
    return template.replace(_SLOT, text)
