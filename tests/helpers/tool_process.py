# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Runs the tools as processes of their own, without importing mmagic anew for each."""

import gc
import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ToolResult:
    """How a tool ended: its exit status (negative for a signal) and all that it printed."""

    status: int
    output: str


def _tool_process(script: str, args: list[str], env: dict[str, str], cwd: str, log: str) -> None:
    multiprocessing.set_start_method(None, force=True)  # the default, as from a shell
    gc.freeze()  # or a collection would touch, and so copy, all that is shared with the server
    with open(log, 'wb', buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = [script, *args]
    runpy.run_path(script, run_name='__main__')


class ToolProcess:
    """A tool that runs as a process of its own, as from a shell.

    It is forked from a server that has imported the package already (see conftest.py).
    """

    def __init__(self, tool: str, args: Sequence[str], env: dict[str, str], cwd: Path) -> None:
        context = multiprocessing.get_context('forkserver')
        handle, self._log = tempfile.mkstemp(suffix='.log')
        os.close(handle)
        script = str(CHECKOUT / (f'{tool}.py' if '/' in tool else f'tools/{tool}.py'))
        self._process = context.Process(
            target=_tool_process, args=(script, [str(a) for a in args], env, str(cwd), self._log)
        )
        self._process.start()

    def wait(self, timeout: float = 120) -> ToolResult:
        """Wait for the end of the process, which is killed after ``timeout`` seconds."""
        self._process.join(timeout)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        output = Path(self._log).read_text(errors='replace')
        os.unlink(self._log)
        return ToolResult(self._process.exitcode, output)
