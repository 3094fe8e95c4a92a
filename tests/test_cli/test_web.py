# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import argparse
import socket
import sys

import pytest

from s2svr_mm.cli import web
from s2svr_mm.errors import ConfigError, MissingPackageError


def parse(*words):
    parser = argparse.ArgumentParser()
    web.add_arguments(parser)
    return parser.parse_args(words)


def test_it_listens_to_this_machine_alone_unless_told_otherwise():
    args = parse()
    assert (args.host, args.folder, args.root) == ('127.0.0.1', 's2svr_web', '.')
    assert args.max_upload == 20 * 2**30


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'uvicorn', None)
    pytest.importorskip('starlette')
    with pytest.raises(MissingPackageError, match=r"pip install 's2svr_mm\[web\]'"):
        web.run(parse())


def test_what_can_not_be_served(tmp_path, monkeypatch):
    pytest.importorskip('uvicorn')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match='--root none is not a folder'):
        web.run(parse('--root', 'none', '--port', '0'))
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f'cannot listen on 127.0.0.1:{port}'):
            web.run(parse('--port', str(port)))
    with pytest.raises(ConfigError, match='cannot listen on'):
        web.run(parse('--port', '70000'))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='--folder file cannot be made'):
        web.run(parse('--port', '0', '--folder', 'file'))
