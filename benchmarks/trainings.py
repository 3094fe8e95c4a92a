# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Train several networks, each with several seeds, and compare what the last validations say.

python benchmarks/trainings.py benchmarks/plans/flow_students.json work_dirs/flow_students

A plan has a row for each network: a config, and the options that `s2svr train` takes behind
--cfg-options. A training that has ended is not run again, one that was interrupted goes on.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

# The arithmetic of networks is that of a frame of this size, as in docs/efficiency.md.
_SIZE = (180, 320)
_FRAMES = 10
_COLUMNS = ('name', 'seed', 'parameters, M', 'multiply-adds, G', 'seconds an iteration')


@dataclass(frozen=True)
class Training:
    """One training of a plan.

    Attributes:
        name (str): Of its row.
        config (str): Path of the config, relative to the checkout.
        options (tuple[str, ...]): Options of the config, ``key=value``.
        seed (int): Seed.
        folder (Path): Its work directory.
        amp (bool): Whether it is trained in bfloat16.
    """

    name: str
    config: str
    options: tuple[str, ...]
    seed: int
    folder: Path
    amp: bool = False

    @property
    def command(self) -> list[str]:
        """The command that trains."""
        options = (*self.options, f'randomness.seed={self.seed}')
        return [
            *(sys.executable, str(CHECKOUT / 'tools' / 'train.py'), str(CHECKOUT / self.config)),
            *('--resume', '--work-dir', str(self.folder), *self._flags),
            *('--cfg-options', *options),
        ]

    @property
    def recipe(self) -> list[str]:
        """What a result is kept with."""
        return [self.config, *self._flags, *self.options]

    @property
    def _flags(self) -> list[str]:
        return ['--amp'] if self.amp else []

    @property
    def result(self) -> Path:
        """Where its figures are kept once it has ended."""
        return self.folder / 'result.json'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('plan', type=Path, help='JSON file that names the networks')
    parser.add_argument('folder', type=Path, help='folder of the trainings, of table.csv and .md')
    parser.add_argument('--seeds', type=int, nargs='+', help="instead of the plan's")
    parser.add_argument('--rows', nargs='+', help='names of the rows to train (default: all)')
    parser.add_argument('--amp', action='store_true', help='train in bfloat16, as s2svr train does')
    parser.add_argument('--jobs', type=int, default=1, help='trainings at a time (default: 1)')
    return parser.parse_args()


def main() -> None:
    """Train what is missing and write the tables."""
    from s2svr_mm.cli.workers import usable_cores

    args = parse_args()
    plan = json.loads(args.plan.read_text())
    trainings = trainings_of(plan, args.folder, args.seeds, args.rows, args.amp)
    train = functools.partial(result_of, threads=max(1, usable_cores() // args.jobs))
    with ThreadPoolExecutor(args.jobs) as pool:
        results = pd.DataFrame(pool.map(train, trainings))
    results.to_csv(args.folder / 'table.csv', index=False)
    table = summary(results, plan['metrics'])
    (args.folder / 'table.md').write_text(table)
    print(table)


def trainings_of(
    plan: Mapping[str, Any],
    folder: Path,
    seeds: list[int] | None,
    rows: list[str] | None,
    amp: bool = False,
) -> list[Training]:
    """List the trainings of a plan, all rows with the first seed before any with the second.

    Args:
        plan (Mapping[str, Any]): ``rows``, each with an ``options`` and perhaps a ``config`` of its
            own, and ``config``, ``options`` and ``seeds`` of all.
        folder (Path): Folder of the trainings.
        seeds (list[int] | None): Seeds instead of the plan's.
        rows (list[str] | None): Names of the rows that are wanted; None for all.
        amp (bool): Whether they are trained in bfloat16. Defaults to False.

    Returns:
        list[Training]: The trainings.
    """
    unknown = set(rows or ()) - set(plan['rows'])
    if unknown:
        raise SystemExit(f'The plan has no row {sorted(unknown)}, but {sorted(plan["rows"])}.')
    return [
        Training(
            name,
            row.get('config', plan.get('config')),
            (*plan.get('options', ()), *row.get('options', ())),
            seed,
            folder / f'{name}_{seed}',
            amp,
        )
        for seed in seeds or plan['seeds']
        for name, row in plan['rows'].items()
        if rows is None or name in rows
    ]


def result_of(training: Training, threads: int) -> dict[str, Any]:
    """Train, unless that was done, and return the figures of the last validation.

    Args:
        training (Training): The training.
        threads (int): CPU threads.

    Returns:
        dict[str, Any]: The columns of the table.
    """
    if training.result.is_file():
        kept = json.loads(training.result.read_text())
        if kept['recipe'] != training.recipe:
            raise SystemExit(
                f'{training.folder} was trained by {kept["recipe"]}, not by {training.recipe}: '
                'remove it or give another folder.'
            )
        return kept['figures']
    training.folder.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    log = training.folder / 'output.txt'
    with log.open('ab') as output:
        done = subprocess.run(
            training.command, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    if done.returncode:
        raise SystemExit(f'{training.folder}: the training failed, see {log}.')
    figures = {
        **dict(zip(_COLUMNS, (training.name, training.seed, *arithmetic(training)), strict=False)),
        **measured(training.folder),
    }
    training.result.write_text(json.dumps(dict(recipe=training.recipe, figures=figures), indent=1))
    print(f'{training.name}, seed {training.seed}: {figures}', file=sys.stderr, flush=True)
    return figures


def measured(folder: Path) -> dict[str, float]:
    """Read the seconds an iteration took and the last validation from a training's logs.

    Args:
        folder (Path): The work directory.

    Returns:
        dict[str, float]: The median of the seconds, and the metrics by their names.
    """
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    trained = [line['time'] for line in lines if 'lr' in line]
    metrics = [line for line in lines if 'lr' not in line][-1]
    own = {key: value for key, value in metrics.items() if key not in ('step', 'time', 'data_time')}
    return {_COLUMNS[-1]: round(float(pd.Series(trained).median()), 3), **own}


def arithmetic(training: Training) -> tuple[float, float]:
    """Count the parameters of a network and its multiply-adds.

    Args:
        training (Training): The training.

    Returns:
        tuple[float, float]: Millions of parameters, and 1e9 multiply-adds: of a frame of 320x180
        in a clip of ten, or of a pair of such frames for a flow network.
    """
    import torch
    from mmengine import Config

    from s2svr_mm.registration import register
    from s2svr_mm.utils.profiling import count_macs

    register()
    from mmagic.registry import MODELS

    config = Config.fromfile(CHECKOUT / training.config)
    config.merge_from_dict(changes_of(training))
    restores = 'generator' in config.model
    network = MODELS.build(config.model['generator' if restores else 'estimator']).eval()
    frames = torch.zeros(1, _FRAMES, 3, *_SIZE)
    with torch.inference_mode():
        if restores:
            macs = count_macs(lambda: network(frames)) / _FRAMES
        else:
            macs = count_macs(lambda: network(frames[:, 0], frames[:, 1]))
    parameters = sum(p.numel() for p in network.parameters())
    return round(parameters / 1e6, 2), round(macs / 1e9, 1)


def changes_of(training: Training) -> dict[str, Any]:
    """Read a training's options as ``s2svr train`` does.

    Args:
        training (Training): The training.

    Returns:
        dict[str, Any]: What they change, by dotted keys.
    """
    from s2svr_mm.cli.arguments import add_config

    parser = argparse.ArgumentParser()
    add_config(parser, '')
    options = ['--cfg-options', *training.options] if training.options else []
    return parser.parse_args([training.config, *options]).cfg_options or {}


def summary(results: pd.DataFrame, metrics: Mapping[str, int]) -> str:
    """Format the mean and, over several seeds, the standard deviation of each row's metrics.

    Args:
        results (pd.DataFrame): A line for each training.
        metrics (Mapping[str, int]): The metrics to show, and their digits.

    Returns:
        str: A table in Markdown, its rows in the order of the plan.
    """
    from s2svr_mm.utils.tables import markdown_table

    def cell(values: pd.Series, digits: int) -> str:
        spread = f' ± {values.std():.{digits}f}' if len(values) > 1 else ''
        return f'{values.mean():.{digits}f}{spread}'

    columns = {_COLUMNS[2]: 2, _COLUMNS[3]: 1, _COLUMNS[4]: 2}
    rows = [
        [
            str(name),
            *(f'{group[key].median():.{digits}f}' for key, digits in columns.items()),
            *(cell(group[key], digits) for key, digits in metrics.items()),
        ]
        for name, group in results.groupby('name', sort=False)
    ]
    return markdown_table(['', *columns, *metrics], rows)


if __name__ == '__main__':
    main()
