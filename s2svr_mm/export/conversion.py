# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Export networks to ONNX files with a manifest, and read these files."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from mmagic.models.editors import BasicVSRNet, BasicVSRPlusPlusNet, IconVSRNet
from torch import nn

from ..checkpoints.files import weights_digest
from ..errors import CheckpointError, ConfigError, OutputError
from ..models.basicvsr_same_size import BasicVSRSameSizeNet
from ..models.basicvsr_x2 import BasicVSRX2Net
from ..models.s2svr_net import S2SVRNet
from ..utils.files import output_folder
from ..utils.locks import HIDDEN
from ..utils.manifest import check_made, sha256, write_made
from ..version import __version__
from .backends import import_package
from .basicvsr import describe_basicvsr, graphs_of_basicvsr
from .graphs import Description, Graph, graphs_of
from .quantization import Ranges, check_quantizable, quantize

MANIFEST = 'manifest.json'
# Changes with what a loop over the graphs has to do.
FORMAT = 2
# The least that has GridSample is 16.
OPSET = 17
# Of an odd size that no factor divides, so that nothing of it looks constant.
_HEIGHT, _WIDTH = 67, 71


@dataclass(frozen=True)
class ExportedNetwork:
    """A network as ONNX files.

    Attributes:
        description (Description): What a loop over the graphs needs to know.
        graphs (Mapping[str, bytes]): ONNX files by the name of the step.
        manifest (Mapping[str, Any]): What lies beside them as ``manifest.json``.
    """

    description: Description
    graphs: Mapping[str, bytes]
    manifest: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write the files, in place of an earlier export.

        Args:
            folder (Path): The folder, made if need be.

        Raises:
            OutputError: It holds what is no export, or cannot be written.
        """
        check_folder(folder)
        contents = {f'{name}.onnx': content for name, content in self.graphs.items()}
        contents[MANIFEST] = json.dumps(self.manifest, indent=1).encode()
        with output_folder(folder, 'OUT'):
            there = check_folder(folder)
            # Without it nothing is loaded while the others change.
            (folder / MANIFEST).unlink(missing_ok=True)
            for name in there:
                if name not in contents:
                    (folder / name).unlink()
            write_made(folder, contents)

    @classmethod
    def read(cls, folder: Path) -> 'ExportedNetwork':
        """Read what :meth:`write` wrote.

        Args:
            folder (Path): The folder.

        Raises:
            CheckpointError: It holds no export, one of another format, or a file is missing or
                changed.
        """
        path = folder / MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding='utf-8'))
            version = manifest['format']
        except (OSError, ValueError, KeyError, TypeError):
            raise CheckpointError(
                f'{folder} holds no {MANIFEST} of an exported network: make one with s2svr export'
            ) from None
        if version != FORMAT:
            raise CheckpointError(
                f'{path} has format {version}, but this version reads {FORMAT}: export the network '
                'again'
            )
        graphs = {}
        for name, entry in manifest['graphs'].items():
            file = folder / entry['file']
            content = file.read_bytes() if file.is_file() else b''
            if sha256(content) != entry['sha256']:
                state = 'differs from what was exported' if content else 'is missing'
                raise CheckpointError(f'{file} {state}: export the network again')
            graphs[name] = content
        return cls(Description(**manifest['network']), graphs, manifest)


def check_folder(folder: Path) -> list[str]:
    """Refuse a folder that an export must not be written to.

    Args:
        folder (Path): The folder; it may be missing.

    Returns:
        list[str]: Names of the files of an earlier export.

    Raises:
        OutputError: It is a file, or holds what is no export.
    """
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise OutputError(f'{folder} is a file: give a folder for the ONNX files')
    there = [path.name for path in folder.iterdir() if path.name != HIDDEN]
    check_made(folder, there)
    return there


def check_exportable(network: nn.Module) -> None:
    """Refuse a network that can't be exported.

    Args:
        network (nn.Module): The network.

    Raises:
        ConfigError: If it is neither an :class:`.S2SVRNet` nor mmagic's BasicVSR.
    """
    if isinstance(network, S2SVRNet) or _is_basicvsr(network):
        return
    deformable = isinstance(network, BasicVSRPlusPlusNet | IconVSRNet)
    reason = f' (opset {OPSET} has no deformable convolutions)' if deformable else ''
    raise ConfigError(
        'only S2SVR and BasicVSR can be exported to ONNX, but this is '
        f'{type(network).__name__}, which runs in torch alone{reason}'
    )


def _is_basicvsr(network: nn.Module) -> bool:
    # Exactly these: a subclass may compute something else.
    return type(network) in (BasicVSRNet, BasicVSRSameSizeNet, BasicVSRX2Net)


def export_network(network: nn.Module, name: str, ranges: Ranges | None = None) -> ExportedNetwork:
    """Convert a network to ONNX, step by step.

    Args:
        network (nn.Module): An :class:`.S2SVRNet` or a BasicVSR, on the CPU.
        name (str): What the manifest calls it.
        ranges (Ranges, optional): Of its values, for convolutions in int8
            (:func:`.quantization.observe_ranges`). Defaults to None: float32.

    Returns:
        ExportedNetwork: The files.

    Raises:
        ConfigError: If it is another network, or one that can't be quantized.
        MissingPackageError: If onnx is not installed.
    """
    onnx = import_package('onnx', 'exporting')
    check_exportable(network)
    run = network if ranges is None else quantize(check_quantizable(network), ranges)
    if isinstance(run, S2SVRNet):
        description, graphs = Description.of(run), graphs_of(run)
    else:
        basicvsr = cast(BasicVSRNet, run)
        description, graphs = describe_basicvsr(basicvsr), graphs_of_basicvsr(basicvsr)
    contents = {step: _to_onnx(graph, description.unshuffle) for step, graph in graphs.items()}
    outside = None
    if 'flow' not in graphs:
        estimator: Any = network.flow_estimator
        outside = (
            f'{type(estimator).__name__} has no form in ONNX: give the loop the flows '
            'of neighbouring frames, both ways'
        )
    manifest = {
        'made_by': 's2svr_mm',
        'format': FORMAT,
        'name': name,
        'versions': {
            's2svr_mm': __version__,
            'torch': torch.__version__,
            'onnx': onnx.__version__,
            'opset': OPSET,
        },
        'weights': weights_digest(network),
        'dtype': 'float32' if ranges is None else 'int8',
        'frames': {'channels': 'RGB', 'range': [0, 1], 'type': 'float32', 'side': 1, 'count': 1},
        'network': description.to_json(),
        'flow_outside': outside,
        'order': list(graphs),
        'graphs': {
            step: {
                'file': f'{step}.onnx',
                'sha256': sha256(contents[step]),
                'inputs': {
                    key: [maps, channels, *(_AXES[of_state])]
                    for key, (maps, channels, of_state) in graph.inputs.items()
                },
                'outputs': list(graph.outputs),
            }
            for step, graph in graphs.items()
        },
    }
    return ExportedNetwork(description, contents, manifest)


# Names of the last two axes of what is of the size of a frame, and of a state.
_AXES = {False: ('height', 'width'), True: ('state_height', 'state_width')}


def _to_onnx(graph: Graph, factor: int) -> bytes:
    def example(maps: int, channels: int, of_state: bool) -> torch.Tensor:
        height, width = (-(-x // factor) if of_state else x for x in (_HEIGHT, _WIDTH))
        return torch.rand(maps, channels, height, width)

    axes = {key: dict(enumerate(_AXES[kind[2]], start=2)) for key, kind in graph.inputs.items()}
    axes |= {key: {2: f'{key}_height', 3: f'{key}_width'} for key in graph.outputs}
    with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        path = Path(folder) / 'graph.onnx'
        # Sizes are compared in Python, always with the same result; and this exporter is said to
        # be the older of two, of which the newer needs another package.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph.module.eval(),
            tuple(example(*kind) for kind in graph.inputs.values()),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes=axes,
        )
        return path.read_bytes()
