# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow estimators of other projects, adapted to ``forward(ref, supp) -> flow``."""

from pathlib import Path

import mmagic.models.editors.basicvsr.basicvsr_net as basicvsr_net
import torch
import torch.nn as nn
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from ...checkpoints.files import read_weights
from ...checkpoints.matching import StrictInit, load_into
from ...compat import import_mmflow, stand_in
from ...errors import ConfigError, MissingOpError
from ...ops.cost_volume import cost_volume
from ...ops.dis_flow import dis_flow
from ...ops.padding import pad_to
from .pwclite import check_pair


@MODELS.register_module()
class SPyNet(StrictInit, basicvsr_net.SPyNet):
    """mmagic's SPyNet (CVPR 2017), the flow network of BasicVSR.

    Args:
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=..., prefix=...)``; the
            prefix is ``'generator.spynet'`` in a checkpoint of mmagic's BasicVSR. Defaults to
            None.
    """

    def __init__(self, init_cfg: dict | None = None) -> None:
        basicvsr_net.SPyNet.__init__(self, pretrained=None)
        self.init_cfg = init_cfg
        # Constants, not saved: checkpoints with and without them load.
        for name in ('mean', 'std'):
            self.register_buffer(name, self._buffers.pop(name), persistent=False)

    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        """Estimate flow; see :meth:`PWCLite.forward`."""
        check_pair(ref, supp)
        return super().forward(ref, supp)


@MODELS.register_module()
class MMFlowEstimator(StrictInit):
    """A network of mmflow: PWC-Net, LiteFlowNet, RAFT, ... from its own config.

    Frames become what mmflow loads (BGR, [0, 255], normalised by the config's preprocessor) and
    are padded at the right and the bottom to what the network's pyramid needs. mmflow's
    correlation needs a GPU and a compiled mmcv; here it needs neither.

    Args:
        flow_cfg (str | dict): Config of mmflow: a file, the name of one that mmflow ships
            (``'raft/raft_8xb2_100k_mixed-368x768.py'``), or its ``model`` dict.
        checkpoint (str, optional): Weights of the whole network. Defaults to None (untrained).

    Raises:
        MissingPackageError: If mmflow is not installed.
        ConfigError: If there is no such config; lists those of the same folder.
        CheckpointError: If the weights do not fit the network.
    """

    # 1/64 is the coarsest level of its networks; RAFT's four levels start at 1/8 of the size and
    # need two pixels at the last.
    _STRIDE = 64
    _SMALLEST = 128

    def __init__(self, flow_cfg: str | dict, checkpoint: str | None = None) -> None:
        super().__init__()
        import_mmflow()
        from mmflow.models.builder import OPERATORS
        from mmflow.registry import MODELS as MMFLOW_MODELS

        OPERATORS.register_module(name='Correlation', module=_correlation(), force=True)
        if isinstance(flow_cfg, str):
            flow_cfg = Config.fromfile(_config_file(flow_cfg)).model
        with DefaultScope.overwrite_default_scope('mmflow'):
            self.network = MMFLOW_MODELS.build(flow_cfg)
            if checkpoint is None:
                self.network.init_weights()
        if checkpoint is not None:
            load_into(self.network, read_weights(checkpoint), checkpoint)
        for part in self.network.modules():
            if hasattr(part, 'postprocess_result'):
                part.postprocess_result = _flows_of_batch

    def init_weights(self) -> None:
        """Do nothing: the network got its weights when it was built."""
        self.is_init = True

    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        """Estimate flow; see :meth:`PWCLite.forward`."""
        check_pair(ref, supp)
        from mmflow.structures import FlowDataSample

        n, _, h, w = ref.shape
        pairs = torch.stack((ref, supp), 1).flip(2) * 255
        pairs = pad_to(pairs.flatten(0, 1), self._STRIDE, self._SMALLEST)
        size = tuple(pairs.shape[-2:])
        data = dict(inputs=pairs.unflatten(0, (n, 2)))
        metainfo = dict(ori_shape=size, img_shape=size)
        samples = [FlowDataSample(metainfo=metainfo) for _ in range(n)]
        with DefaultScope.overwrite_default_scope('mmflow'):
            inputs = self.network.data_preprocessor(data)['inputs']
            flows = self.network.predict(inputs, samples)
        return torch.stack(flows)[..., :h, :w]


def _flows_of_batch(flow_results: list[dict], data_samples: list) -> list[Tensor]:
    """Return all flows of a batch; mmflow's ``postprocess_result`` stops after the first."""
    return [result['flow_fw'] for result in flow_results]


def _config_file(name: str) -> Path:
    import mmflow

    shipped = Path(mmflow.__file__).parent / '.mim' / 'configs'
    name = name.removeprefix('mmflow::')
    for path in (Path(name), shipped / name):
        if path.is_file():
            return path
    folder = shipped / Path(name).parent
    known = sorted(str(path.relative_to(shipped)) for path in folder.glob('*.py'))
    known = known or sorted(path.name + '/' for path in shipped.iterdir() if path.is_dir())
    raise ConfigError(f"there is no config {name}; mmflow's own: {', '.join(known)}")


def _correlation() -> type[nn.Module]:
    """Return mmcv's correlation operator, even where mmcv has none: on CPUs, or not compiled."""
    from mmcv.ops import Correlation

    compiled = stand_in() is None

    class PortableCorrelation(Correlation):
        def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
            if compiled and input1.is_cuda:
                return super().forward(input1, input2)
            if (self.kernel_size, self.padding) != (1, 0):
                raise MissingOpError(
                    f'{self} needs a compiled mmcv and a GPU, unless kernel_size=1 and padding=0.'
                )
            reach = self.max_displacement * self.dilation_patch
            volume = cost_volume(input1, input2, reach) * input1.shape[1]
            volume = volume.unflatten(1, (2 * reach + 1, 2 * reach + 1))
            patch, place = slice(None, None, self.dilation_patch), slice(None, None, self.stride)
            return volume[:, patch, patch, place, place].contiguous()

    return PortableCorrelation


@MODELS.register_module()
class ZeroFlow(nn.Module):
    """Estimate zero flow: a baseline whose error is the motion itself."""

    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        """Return zero flow; see :meth:`PWCLite.forward`."""
        check_pair(ref, supp)
        return torch.zeros_like(ref[:, :2])


@MODELS.register_module()
class DISFlow(nn.Module):
    """OpenCV's DIS optical flow (Fast Optical Flow using Dense Inverse Search, ECCV 2016).

    It runs on the CPU, has no weights and gives no gradient.

    Args:
        preset (str): 'ultrafast', 'fast' or 'medium'. Defaults to 'medium'.
    """

    def __init__(self, preset: str = 'medium') -> None:
        super().__init__()
        self.preset = preset

    @torch.no_grad()
    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        """Estimate flow; see :meth:`PWCLite.forward`."""
        check_pair(ref, supp)
        refs, supps = (
            (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            for x in (ref, supp)
        )
        flows = [dis_flow(a, b, self.preset) for a, b in zip(refs, supps, strict=True)]
        return torch.stack([torch.from_numpy(f).permute(2, 0, 1) for f in flows]).to(ref.device)
