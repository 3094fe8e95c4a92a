# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Sphinx: `make docs` builds docs/_build/html."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The checkout's package, whatever is installed.
sys.path.insert(0, str(ROOT))

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

html_theme = 'furo'
html_title = f's2svr_mm {release}'
html_static_path = ['_static']
html_css_files = ['tables.css']
copybutton_exclude = '.linenos, .gp, .go'
