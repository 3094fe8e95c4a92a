# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Programs that run ONNX files on the CPU."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ..errors import ConfigError, MissingPackageError

Session = Callable[[Mapping[str, np.ndarray]], Sequence[np.ndarray]]
# The extra of each.
EXTRAS = {'onnxruntime': 'onnx', 'openvino': 'openvino'}
# What a network can run in.
BACKENDS = ('torch', *EXTRAS)


def import_package(name: str, use: str, extra: str = 'onnx') -> ModuleType:
    """Import a package of one of the extras.

    Args:
        name (str): ``'onnx'``, ``'onnxruntime'`` or ``'openvino'``.
        use (str): What needs it, to begin a sentence.
        extra (str): The extra to install. Defaults to 'onnx'.

    Raises:
        MissingPackageError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingPackageError(
            f"{use} needs {name}, which is not installed: pip install 's2svr_mm[{extra}]'"
        ) from None


def check_backend(backend: str) -> None:
    """Check that a back end is known and installed.

    Args:
        backend (str): ``'onnxruntime'`` or ``'openvino'``.

    Raises:
        ConfigError: If it is not known.
        MissingPackageError: If it is not installed.
    """
    if backend not in EXTRAS:
        raise ConfigError(f'a back end is one of {", ".join(EXTRAS)}, but got {backend!r}')
    for package in ('onnx', backend):
        import_package(package, f'the back end {backend}', EXTRAS[backend])


def open_session(model: bytes, backend: str) -> Session:
    """Load a graph, to be run by as many threads as torch has now.

    Args:
        model (bytes): The content of an ONNX file.
        backend (str): ``'onnxruntime'`` or ``'openvino'``.

    Returns:
        Session: Computes the outputs in order from the inputs by name, in float32.

    Raises:
        ConfigError: If the back end is not known.
        MissingPackageError: If it is not installed.
    """
    check_backend(backend)
    return {'onnxruntime': _onnxruntime, 'openvino': _openvino}[backend](model)


def _onnxruntime(model: bytes) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])

    def run(inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        return session.run(None, dict(inputs))

    return run


@cache
def _openvino_core() -> Any:
    """Return OpenVINO's core, one for the whole process.

    Each gives the thread an alternate signal stack of its own, and the last one that is deleted
    leaves it that of an earlier one, which is freed: handlers that run there, as torch's of
    SIGCHLD, then write into freed memory.
    """
    import openvino

    return openvino.Core()


def _openvino(model: bytes) -> Session:
    core = _openvino_core()
    # Of its own accord it computes in bfloat16 where the processor can.
    settings = {
        'INFERENCE_PRECISION_HINT': 'f32',
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': torch.get_num_threads(),
    }
    compiled = core.compile_model(core.read_model(model=model, weights=b''), 'CPU', settings)
    request = compiled.create_infer_request()

    def run(inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        results = request.infer(dict(inputs), share_inputs=True)
        return [results[i] for i in range(len(compiled.outputs))]

    return run
