# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Sphinx: `make docs` builds docs/_build/html."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The checkout's package, whatever is installed.
sys.path.insert(0, str(ROOT))

from docutils.nodes import Node  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.environment import BuildEnvironment  # noqa: E402

from s2svr_mm.version import __version__  # noqa: E402

project = 's2svr_mm'
author = 's2svr_mm authors'
copyright = '%Y, s2svr_mm authors'
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
exclude_patterns = ['_build']
myst_enable_extensions = ['attrs_block', 'colon_fence', 'dollarmath']
myst_heading_anchors = 3
suppress_warnings = ['myst.header']

autodoc_default_options = {'members': True, 'show-inheritance': True, 'member-order': 'bysource'}
autodoc_typehints = 'signature'
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# What docstrings refer to exists. Types are words as well, and those of other packages.
nitpicky = True
nitpick_ignore_regex = [('py:(class|obj)', '.*'), ('py:.*', r'(av|mmengine|mmagic|mmcv|torch)\..*')]

html_theme = 'furo'
html_title = f's2svr_mm {release}'
html_static_path = ['_static']
html_css_files = ['tables.css']
html_copy_source = False
copybutton_exclude = '.linenos, .gp, .go'

# What the API has a page for.
ROOMS = {
    'restoration': 'Restoration',
    'models': 'Models',
    'models/flow': 'Optical flow',
    'datasets': 'Data sets',
    'datasets/transforms': 'Transforms',
    'datasets/preparation': 'Preparing data sets',
    'losses': 'Losses',
    'evaluation': 'Metrics',
    'training': 'Training',
    'engine': 'Hooks and loops',
    'comparison': 'Comparison',
    'checkpoints': 'Checkpoints',
    'io': 'Input and output',
    'ops': 'Operations',
    'utils': 'Utilities',
    'compat': 'Versions of the stack',
    'errors.py': 'Errors',
}


def write_api_pages(_app: Sphinx) -> None:
    """Write docs/api: a page for each folder of the package, with each of its modules."""
    pages = ROOT / 'docs' / 'api'
    pages.mkdir(exist_ok=True)
    for room, title in ROOMS.items():
        path = ROOT / 's2svr_mm' / room
        files = [path] if path.is_file() else sorted(path.glob('[!_]*.py'))
        page = [f'# {title}']
        for file in files:
            module = '.'.join(file.relative_to(ROOT).with_suffix('').parts)
            page.append(f'## {file.stem}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```')
        name = room.removesuffix('.py').replace('/', '_')
        write_if_new(pages / f'{name}.md', '\n\n'.join(page))


def write_if_new(path: Path, text: str) -> None:
    """Leave an equal file alone, so that Sphinx does not read it again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def resolve_short_name(
    app: Sphinx, env: BuildEnvironment, node: Node, content: Node
) -> Node | None:
    """Find ``LoadClip`` of another module, as docstrings name it: the only object of that name."""
    ending = f'.{node.get("reftarget", "")}'
    python = env.domains['py']
    found = [name for name in python.objects if name.endswith(ending)]
    if len(found) != 1:
        return None
    place = node['refdoc']
    kind = python.objects[found[0]].objtype
    role = python.role_for_objtype(kind)
    return python.resolve_xref(env, place, app.builder, role, found[0], node, content)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.connect('builder-inited', write_api_pages)
    app.connect('missing-reference', resolve_short_name)
