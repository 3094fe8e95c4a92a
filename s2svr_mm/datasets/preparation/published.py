# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Preparing a published data set: find it, check it, lay it out, make what is missing."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ...io.clips import natural_key, open_folder, open_reader
from ...utils.files import output_folder
from ...utils.manifest import check_made, write_made
from .archives import archives_in, unpack
from .checking import check_clip, frame_size
from .degradations import make_degraded
from .recipes import ClipList, DegradedPart, Part, Recipe
from .writing import place_clip, run_tasks

SEARCH_DEPTH = 3
ARCHIVE_FOLDER = '.archives'
MOST_PROBLEMS = 20


@dataclass(frozen=True)
class PlannedClip:
    """A clip of a part, by its new name, and where it goes."""

    part: Part
    source: Path
    name: str
    target: Path


def prepare_published(
    recipe: Recipe,
    src: Path,
    dst: Path,
    degradations: Sequence[str] | None = None,
    copy: bool = False,
    allow_partial: bool = False,
    workers: int = 1,
    report: Callable[[str], None] = print,
) -> None:
    """Check a downloaded data set and lay it out for the configs.

    Clips are linked from the download, or copied. A second call resumes where the first ended.

    Args:
        recipe (Recipe): The data set.
        src (Path): The download: a folder at most three levels above the clips, with or without
            its archives (zip, tar) unpacked, or one archive. Only ever read.
        dst (Path): The folder to prepare, outside ``src``.
        degradations (Sequence[str], optional): Which of the recipe's degraded versions to make.
            Default: None (its own choice).
        copy (bool): Copy the clips instead of linking them.
        allow_partial (bool): Prepare what is there and report what is missing.
        workers (int): Number of processes.
        report (Callable[[str], None]): Where messages go.

    Raises:
        DataError: Something is missing or damaged (all of it is listed), or the disk is full.
    """
    if not src.exists():
        raise DataError(f'{src} does not exist. Give the folder with {recipe.title}.')
    if dst.resolve() == src.resolve() or src.resolve() in dst.resolve().parents:
        raise DataError(f'{dst} lies in {src}, which is only read. Choose another --dst.')
    degraded = _chosen(recipe, degradations)
    with output_folder(dst, '--dst'):
        check_made(dst, {c.file for part in recipe.parts for c in part.lists})
        roots = [src] if src.is_dir() else []
        if not roots or any(not _find(roots, p.sources, p) for p in recipe.parts):
            roots += [unpack(path, dst / ARCHIVE_FOLDER, dst) for path in archives_in(src)]
        plan, problems = _plan(recipe, roots, dst)
        checks = [(clip.part, clip.name, clip.source) for clip in plan]
        results = run_tasks(check_clip, checks, workers, 'Checking')
        damaged = {clip.name for clip, (_, usable) in zip(plan, results, strict=True) if not usable}
        problems += [problem for problem, _ in results if problem] + _wrong_totals(plan)
        plan = [clip for clip in plan if clip.name not in damaged]
        _report_problems(problems, recipe, allow_partial and bool(plan), report)
        plan = _whole_pairs(recipe, plan, report)
        places = [(c.source, c.target, dst, c.part.frame_name, copy) for c in plan]
        run_tasks(place_clip, places, workers, 'Copying' if copy else 'Linking')
        for part in degraded:
            _add_degraded(part, plan, roots, dst, copy, workers, report)
        _write_lists(plan, dst)
    report(f'{dst} is ready: {len(plan)} clips.')


def _chosen(recipe: Recipe, names: Sequence[str] | None) -> list[DegradedPart]:
    known = {part.degradation for part in recipe.degraded}
    if unknown := set(names or ()) - known:
        offer = f'takes {", ".join(sorted(known))}' if known else 'has nothing to degrade'
        raise DataError(f'Degradations {", ".join(sorted(unknown))}: this data set {offer}.')
    wanted = recipe.default_degradations if names is None else names
    return [part for part in recipe.degraded if part.degradation in wanted]


def _plan(recipe: Recipe, roots: list[Path], dst: Path) -> tuple[list[PlannedClip], list[str]]:
    plan, problems = [], []
    for part in recipe.parts:
        found = _find(roots, part.sources, part)
        if len(found) < part.num_clips:
            missing = _missing_names(part, found)
            problems.append(
                f'{part.sources[0]}: {len(found)} of {part.num_clips} clips are there'
                + (f'; missing: {", ".join(missing[:5])}' if missing else '')
            )
        elif len(found) > part.num_clips:
            problems.append(
                f'{part.sources[0]}: {len(found)} clips are there instead of {part.num_clips}'
            )
        for name, source in found.items():
            if part.number_offset:
                name = f'{int(name) + part.number_offset:03d}'
            plan.append(PlannedClip(part, source, name, dst / part.target.format(clip=name)))
    return plan, problems


def _missing_names(part: Part, found: Iterable[str]) -> list[str]:
    if part.only:
        return sorted(part.only - set(found))
    if all(name.isdigit() and len(name) == 3 for name in found):
        return [f'{i:03d}' for i in range(part.num_clips) if f'{i:03d}' not in found]
    return []


def _find(roots: Iterable[Path], patterns: Iterable[str], part: Part) -> dict[str, Path]:
    """Return the clips of a part, by name, at the first place that has any."""
    for root in roots:
        for base in _folders(root):
            for pattern in patterns:
                if found := _match(base, pattern, part):
                    return found
    return {}


def _folders(root: Path) -> Iterator[Path]:
    """Yield a folder and those in it, the nearest first."""
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        yield from level
        level = [
            Path(entry.path)
            for folder in level
            for entry in sorted(os.scandir(folder), key=lambda e: natural_key(e.name))
            if entry.is_dir() and not entry.name.startswith('.')
        ]


def _match(base: Path, pattern: str, part: Part) -> dict[str, Path]:
    before, after = pattern.split('{clip}')
    folder = base / before
    if not folder.is_dir():
        return {}
    if part.listed_in:
        if not (base / part.listed_in).is_file():
            return {}
        names = (base / part.listed_in).read_text(encoding='utf-8').split()
    elif after and not after.startswith('/'):
        names = [path.name.removesuffix(after) for path in folder.glob(f'*{after}')]
    else:
        names = [path.name for path in folder.iterdir() if path.is_dir()]
    return {
        name: folder / f'{name}{after}'
        for name in sorted(names, key=natural_key)
        if (not part.only or name in part.only)
        and name not in part.without
        and not name.startswith('.')
        and (folder / f'{name}{after}').exists()
    }


def _wrong_totals(plan: Sequence[PlannedClip]) -> list[str]:
    totals: dict[Part, int] = defaultdict(int)
    for clip in plan:
        if clip.part.total_frames is not None:
            try:
                totals[clip.part] += open_reader(str(clip.source)).num_frames
            except DataError:
                continue  # check_clip has reported it
    return [
        f'{part.sources[0]}: {total} frames are there instead of {part.total_frames}'
        for part, total in totals.items()
        if total != part.total_frames
    ]


def _report_problems(
    problems: Sequence[str], recipe: Recipe, go_on: bool, report: Callable[[str], None]
) -> None:
    if not problems:
        return
    shown = [f'  {problem}' for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        shown.append(f'  and {len(problems) - MOST_PROBLEMS} more')
    text = '\n'.join([f'This is not all of {recipe.title}:', *shown])
    if not go_on:
        raise DataError(
            f'{text}\nDownload what is missing or damaged again; --allow-partial goes on without.'
        )
    report(f'{text}\nGoing on without what is missing or damaged.')


def _whole_pairs(
    recipe: Recipe, plan: Sequence[PlannedClip], report: Callable[[str], None]
) -> list[PlannedClip]:
    """Leave out clips of a partial data set that lack their counterpart of the same length."""
    lengths: dict[str, dict[str, int]] = defaultdict(dict)
    for clip in plan:
        lengths[clip.part.target][clip.name] = open_reader(str(clip.source)).num_frames
    alone = {
        (target, name)
        for pair in recipe.pairs
        for target, other in (pair, pair[::-1])
        for name, length in lengths[target].items()
        if lengths[other].get(name) != length
    }
    if alone:
        names = ', '.join(sorted({name for _, name in alone})[:5])
        report(f'{len(alone)} clips without their counterpart are left out: {names}.')
    return [clip for clip in plan if (clip.part.target, clip.name) not in alone]


def _add_degraded(
    degraded: DegradedPart,
    plan: Sequence[PlannedClip],
    roots: Sequence[Path],
    dst: Path,
    copy: bool,
    workers: int,
    report: Callable[[str], None],
) -> None:
    clips = [clip for clip in plan if clip.part.target == degraded.base]
    targets = [dst / degraded.target.format(clip=clip.name) for clip in clips]
    folder = dst / degraded.target.split('{clip}')[0]
    published = _find_all(roots, degraded.sources, clips)
    if published:
        report(f'{folder} is taken from the download.')
        placed = [
            (source, target, dst, clip.part.frame_name, copy)
            for source, target, clip in zip(published, targets, clips, strict=True)
        ]
        run_tasks(place_clip, placed, workers, 'Copying' if copy else 'Linking')
        return
    report(f'{folder} is made from the ground truth ({degraded.degradation}).')
    tasks = [
        (clip.target, target, degraded.degradation, dst)
        for clip, target in zip(clips, targets, strict=True)
    ]
    run_tasks(make_degraded, tasks, workers, f'Degrading ({degraded.degradation})')


def _find_all(
    roots: Iterable[Path], patterns: Sequence[str], clips: Sequence[PlannedClip]
) -> list[Path]:
    """Return the published degraded versions, if there is one of the same length for every clip."""
    for root in roots:
        for base in _folders(root):
            for pattern in patterns:
                paths = [base / pattern.format(clip=clip.name) for clip in clips]
                if paths and all(path.exists() for path in paths):
                    lengths = zip(paths, (clip.source for clip in clips), strict=True)
                    if all(
                        len({open_reader(str(p)).num_frames for p in ps}) == 1 for ps in lengths
                    ):
                        return paths
    return []


def _write_lists(plan: Sequence[PlannedClip], dst: Path) -> None:
    lines: dict[str, list[str]] = defaultdict(list)
    for clip in plan:
        for clip_list in clip.part.lists:
            if clip.name in clip_list.without or (
                clip_list.only and clip.name not in clip_list.only
            ):
                continue
            lines[clip_list.file] += _list_lines(clip_list, clip)
    write_made(dst, {name: ('\n'.join(text) + '\n').encode() for name, text in lines.items()})


def _list_lines(clip_list: ClipList, clip: PlannedClip) -> list[str]:
    if clip_list.style == 'count':
        return [f'{clip.name} {open_reader(str(clip.target)).num_frames}']
    frames = open_folder(str(clip.target))
    height, width = frame_size(frames.file(0))
    names = [f'/{name}' for name in frames.names] if clip_list.style == 'frames' else ['']
    return [f'{clip.name}{name} ({height}, {width}, 3)' for name in names]
