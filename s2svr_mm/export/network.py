# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""An exported network with the interface of the original one."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..models.input_requirements import InputRequirements
from .backends import open_session
from .conversion import ExportedNetwork
from .loop import Clip

Flows = tuple[Tensor, Tensor]


class OnnxNet(nn.Module):
    """A network whose arithmetic ONNX Runtime or OpenVINO does, on the CPU.

    Args:
        exported (ExportedNetwork): The network.
        backend (str): ``'onnxruntime'`` or ``'openvino'``.
        compute_flow (Callable, optional): As :meth:`.S2SVRNet.compute_flow`, where the estimator
            could not be exported. Defaults to None.

    Attributes:
        scale (int): Size of the output over that of the input.

    Raises:
        ConfigError: If the back end is not known, or the flow comes from nowhere.
        MissingPackageError: If the back end is not installed.
    """

    input_requirements = InputRequirements(side=1, multiple=1, frames=1)

    def __init__(
        self,
        exported: ExportedNetwork,
        backend: str,
        compute_flow: Callable[[Tensor], Flows] | None = None,
    ) -> None:
        super().__init__()
        if exported.manifest['flow_outside'] and compute_flow is None:
            raise ConfigError(exported.manifest['flow_outside'])
        self.scale = exported.description.scale
        self.compute_flow = compute_flow if exported.manifest['flow_outside'] else None
        self._description = exported.description
        self._outputs = {
            name: graph['outputs'] for name, graph in exported.manifest['graphs'].items()
        }
        self._sessions = {
            name: open_session(model, backend) for name, model in exported.graphs.items()
        }

    def forward(self, lqs: Tensor) -> Tensor:
        """Restore a clip.

        Args:
            lqs (Tensor): Frames, (n, t, 3, h, w) with any t, h, w >= 1, RGB in [0, 1], on the CPU.

        Returns:
            Tensor: Restored frames, (n, t, 3, scale * h, scale * w), float32.
        """
        return torch.stack([self._restore(clip[None].float()) for clip in lqs])

    def _restore(self, clip: Tensor) -> Tensor:
        flows = None
        if self.compute_flow is not None:
            forward, backward = self.compute_flow(clip)
            flows = _arrays(forward), _arrays(backward)
        restored = Clip(self._run, self._description, _arrays(clip), flows).restore()
        return torch.from_numpy(np.concatenate(restored))

    def _run(self, graph: str, /, **inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        outputs = self._sessions[graph](inputs)
        return dict(zip(self._outputs[graph], outputs, strict=True))


def _arrays(clip: Tensor) -> list[np.ndarray]:
    """Take (1, t, c, h, w) apart into t arrays (1, c, h, w)."""
    return [x.contiguous().numpy() for x in clip.unbind(1)]
