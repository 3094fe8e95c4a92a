# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A check before mmagic's crop, whose own message lists every frame of the clip."""

from mmcv.transforms import BaseTransform

from ...errors import DataError


class CheckPatchSize(BaseTransform):
    """Refuse degraded frames smaller than the patch that mmagic's PairedRandomCrop takes of them.

    :class:`.VideoClipDataset` puts it before that transform.

    Args:
        gt_patch_size (int): Side of the patch in the ground truth.
    """

    def __init__(self, gt_patch_size: int) -> None:
        self.gt_patch_size = gt_patch_size

    def transform(self, results: dict) -> dict:
        """Check a sample.

        Args:
            results (dict): With 'img', 'img_path' and 'scale'.

        Returns:
            dict: The sample as it is.

        Raises:
            DataError: If its frames are too small.
        """
        img, side = results['img'], self.gt_patch_size // results['scale']
        height, width = (img[0] if isinstance(img, list) else img).shape[:2]
        if min(height, width) < side:
            paths = results.get('img_path') or [results.get('key', 'the clip')]
            raise DataError(
                f'{paths[0] if isinstance(paths, list) else paths}: degraded frames of '
                f'{width}x{height} are smaller than the {side}x{side} that training crops from '
                'them. Leave that clip out, or crop less: --cfg-options '
                'train_dataloader.dataset.pipeline.1.gt_patch_size=N, N at the size of the good '
                'frames'
            )
        return results
