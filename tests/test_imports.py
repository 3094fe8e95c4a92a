# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Imports run one way: the order is that of docs/architecture.md."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A line "a, b -> c | d -> e": what stands further left may import what stands further right.
LINE = re.search(r'tools, cli ->[\w\s|,>-]+version', (ROOT / 'docs/architecture.md').read_text())
ORDER = [re.findall(r'\w+', rooms) for rooms in LINE[0].split('->')]
LEVELS = {room: level for level, rooms in enumerate(reversed(ORDER)) for room in rooms}
PATHS = {
    '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): path
    for path in (ROOT / 's2svr_mm').rglob('*.py')
}


def imports_of(module: str) -> set[str]:
    """Modules of the package that a module imports, in functions too."""
    package = module if PATHS[module].name == '__init__.py' else module.rpartition('.')[0]
    names = []
    for node in ast.walk(ast.parse(PATHS[module].read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split('.')[: package.count('.') + 2 - node.level] if node.level else []
            base = '.'.join([*above, *filter(None, [node.module])])
            # What is imported may be a module, or a name in one.
            longer = [f'{base}.{alias.name}' for alias in node.names]
            names += [name if name in PATHS else base for name in longer]
    return {name for name in names if name in PATHS and name != module}


IMPORTS = {module: imports_of(module) for module in PATHS}


def room_of(module: str) -> str:
    return module.split('.')[1] if '.' in module else ''


def test_every_room_has_a_place_in_the_order():
    assert {room_of(module) for module in PATHS} - {''} == LEVELS.keys() - {'tools'}


def test_nothing_imports_what_lies_above_it():
    up = [
        f'{module} imports {other}'
        for module, others in IMPORTS.items()
        for other in others
        if room_of(module)
        and (not room_of(other) or LEVELS[room_of(other)] > LEVELS[room_of(module)])
    ]
    assert up == []


@pytest.mark.parametrize('key', [str, room_of], ids=['modules', 'rooms'])
def test_nothing_imports_in_a_circle(key):
    graph: dict[str, set[str]] = {}
    for module, others in IMPORTS.items():
        graph.setdefault(key(module), set()).update({key(o) for o in others} - {key(module)})
    list(graphlib.TopologicalSorter(graph).static_order())


def test_the_package_imports_itself_by_relative_names_and_ops_know_no_registry():
    for module, path in PATHS.items():
        text = path.read_text()
        assert not re.search(r'^\s*(from|import) (s2svr_mm|benchmarks|dev|tests)\b', text, re.M), (
            module
        )
        assert room_of(module) != 'ops' or 'registry' not in text, module
