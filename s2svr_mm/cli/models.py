# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr models``: list the bundled models."""

import argparse
import json
from dataclasses import asdict

from ..checkpoints.shipped import DEFAULT_MODEL, SCHEME, BundledModel, bundled_model, bundled_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        'List the bundled models: what each is for, its figures, training data and licence. '
        f'{DEFAULT_MODEL} is the default of s2svr restore.'
    )
    parser.add_argument('name', nargs='?', metavar='NAME', help='a model (default: all)')
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> None:
    """List the models."""
    models = [bundled_model(args.name)] if args.name else list(bundled_models().values())
    if args.json:
        print(json.dumps([asdict(model) for model in models], indent=2))
    else:
        print('\n\n'.join(map(_describe, models)))


def _describe(model: BundledModel) -> str:
    lines = [
        f'{model.name}: {model.summary}',
        f'  task      {model.task}',
        *(f'  measured  {_figures(measured)}' for measured in model.metrics),
        f'  trained   {model.data}',
        f'  licence   {model.licence}',
        f'  weights   {SCHEME}{model.name}, for configs/{model.config}',
    ]
    return '\n'.join(lines)


def _figures(measured: dict) -> str:
    figures = ', '.join(f'{name} {value}' for name, value in measured.items() if name != 'on')
    return f'{measured["on"]}: {figures}'
