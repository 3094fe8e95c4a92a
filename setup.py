# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Puts what ``mim train`` and ``mim test`` look for into the built package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithMim(build_py):
    """Copies configs, tools and the model index to ``s2svr_mm/.mim`` of the built package."""

    def run(self) -> None:
        """Build, then copy; an editable install points at the checkout and gets no copies."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 's2svr_mm' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        skip = shutil.ignore_patterns('__pycache__')
        for folder in ('configs', 'tools'):
            shutil.copytree(ROOT / folder, target / folder, ignore=skip)
        shutil.copy(ROOT / 'model-index.yml', target)


setup(cmdclass={'build_py': BuildWithMim})
