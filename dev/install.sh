#!/usr/bin/env bash
# Install requirements into the environment of a Python: dev/install.sh PYTHON REQUIREMENT...
set -euo pipefail
python=$1
shift

pip() { "$python" -m pip "$@"; }

# uv takes a tenth of pip's time, but does not read pip's settings: with an index of one's own, and
# where uv comes to nothing, pip installs.
install() {
    if ! pip config list | grep -qE '\.(index-url|no-index)=' && pip install --quiet uv; then
        # Compile to bytecode, as pip does: otherwise the first start takes half a minute, and so
        # does each one where Python may not write beside the packages.
        "$python" -m uv pip install --compile-bytecode --python "$python" "$@" && return
        echo 'uv could not install this; pip tries.'
    fi
    pip install "$@"
}

install "$@"
# Three OpenCV packages, each of which something requires, write the same files; only the headless
# one runs without libGL, so it goes last.
version=$("$python" -c 'from importlib.metadata import version as v; print(v("opencv-python-headless"))')
pip install --quiet --force-reinstall --no-deps "opencv-python-headless==$version"
