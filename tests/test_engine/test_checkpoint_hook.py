# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import resource
import shutil
from contextlib import contextmanager

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS

from s2svr_mm.checkpoints import files
from s2svr_mm.checkpoints.files import checkpoint_fault, latest_checkpoint
from s2svr_mm.errors import CheckpointError, OutputError
from s2svr_mm.utils.files import AtomicBackend


def files_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


@contextmanager
def file_size_limit(size):
    """The kernel breaks off a longer write in the middle, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def save(path, value=0.0):
    torch.save(dict(state_dict={'weight': torch.full((1000,), value)}), path)
    return path


def cut_short(path, share=0.6):
    os.truncate(path, int(path.stat().st_size * share))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class TestAtomicBackend:
    def test_writes_and_replaces(self, tmp_path):
        path = tmp_path / 'new' / 'file'
        AtomicBackend().put(b'one', path)
        AtomicBackend().put_text('zwölf', path)
        assert path.read_text(encoding='utf-8') == 'zwölf'
        assert files_in(path.parent) == ['file']

    def test_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path):
        path = tmp_path / 'file'
        path.write_bytes(b'old')
        with file_size_limit(2**16), pytest.raises(OutputError, match='File too large') as e:
            AtomicBackend().put(bytes(2**20), path)
        assert f'{path}: 1.0 MB could not be written' in str(e.value)
        assert path.read_bytes() == b'old'
        assert files_in(tmp_path) == ['file']

    def test_nothing_has_its_name_before_it_is_on_the_disk(self, tmp_path, monkeypatch):
        path = tmp_path / 'file'
        seen = []
        sync = os.fsync
        monkeypatch.setattr(os, 'fsync', lambda fd: (seen.append(files_in(tmp_path)), sync(fd)))
        AtomicBackend().put(b'content', path)
        assert len(seen) == 1
        assert 'file' not in seen[0]
        assert path.read_bytes() == b'content'


@pytest.mark.parametrize(
    ('damage', 'fault'),
    [
        (None, None),
        (cut_short, 'is damaged or cut short'),
        (flip_a_bit, 'is damaged'),
        (lambda path: path.write_bytes(b''), 'is damaged or cut short'),
        (lambda path: path.unlink(), 'is not there'),
        (lambda path: shutil.make_archive(path.with_suffix(''), 'zip', path.parent), None),
    ],
)
def test_checkpoint_fault(tmp_path, damage, fault):
    path = save(tmp_path / 'iter_1.pth')
    if damage:
        damage(path)
    found = checkpoint_fault(path)
    assert (found is None) if fault is None else found.startswith(fault)


def test_other_zip_files_are_not_checkpoints(tmp_path):
    (tmp_path / 'content').mkdir()
    archive = shutil.make_archive(str(tmp_path / 'other'), 'zip', tmp_path / 'content')
    assert checkpoint_fault(archive) == 'is not a checkpoint'


class TestLatestCheckpoint:
    @pytest.fixture
    def run(self, tmp_path):
        folder = tmp_path / 'run'
        folder.mkdir()
        for iteration in (2, 8, 10):
            save(folder / f'iter_{iteration}.pth')
        save(folder / 'best_PSNR_iter_12.pth')
        (folder / 'last_checkpoint').write_text(str(folder / 'iter_10.pth'))
        return folder

    def test_takes_the_one_named(self, run):
        (run / 'last_checkpoint').write_text(str(run / 'iter_8.pth'))
        assert latest_checkpoint(run) == run / 'iter_8.pth'

    def test_finds_it_in_a_moved_folder(self, run, tmp_path):
        moved = run.rename(tmp_path / 'moved')
        assert latest_checkpoint(moved) == moved / 'iter_10.pth'

    @pytest.mark.parametrize('damage', [cut_short, flip_a_bit, os.unlink])
    def test_falls_back_to_the_last_whole_one(self, run, damage, monkeypatch):
        warnings = []
        monkeypatch.setattr(files, 'print_log', lambda text, *_, **__: warnings.append(text))
        damage(run / 'iter_10.pth')
        assert latest_checkpoint(run) == run / 'iter_8.pth'
        assert len(warnings) == 1
        assert str(run / 'iter_10.pth') in warnings[0]
        assert str(run / 'iter_8.pth') in warnings[0]

    @pytest.mark.parametrize('content', [None, ''])
    def test_without_the_pointer(self, run, content):
        (run / 'last_checkpoint').unlink()
        if content is not None:
            (run / 'last_checkpoint').write_text(content)
        assert latest_checkpoint(run) == run / 'iter_10.pth'

    def test_nothing_there(self, tmp_path):
        assert latest_checkpoint(tmp_path) is None
        assert latest_checkpoint(tmp_path / 'missing') is None

    def test_nothing_whole(self, run):
        for iteration in (2, 8, 10):
            cut_short(run / f'iter_{iteration}.pth')
        with pytest.raises(CheckpointError, match=r'in .* is whole: .*iter_10\.pth is'):
            latest_checkpoint(run)

    def test_only_one_and_it_is_gone(self, run):
        for iteration in (2, 8, 10):
            (run / f'iter_{iteration}.pth').unlink()
        with pytest.raises(CheckpointError, match=r'iter_10\.pth, which is not there'):
            latest_checkpoint(run)


@METRICS.register_module()
class Rising(BaseMetric):
    """Better at each validation."""

    count = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        Rising.count += 1
        return dict(score=Rising.count)


class FillDisk(Hook):
    """From an iteration on, nothing of a checkpoint's size can be written."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.iter + 1 >= self.iteration:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))


class TestSafeCheckpointHook:
    def test_keeps_the_newest(self, make_runner):
        runner = make_runner(checkpoint=dict(max_keep_ckpts=2))
        runner.train()
        folder = latest_checkpoint(runner.work_dir).parent
        assert [name for name in files_in(folder) if name.endswith('.pth')] == [
            'iter_6.pth',
            'iter_8.pth',
        ]
        assert latest_checkpoint(folder).name == 'iter_8.pth'

    def test_disk_full_leaves_the_only_checkpoint(self, make_runner, tmp_path):
        runner = make_runner(checkpoint=dict(max_keep_ckpts=1))
        runner.register_hook(FillDisk(6))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            with pytest.raises(OutputError, match=r'iter_6\.pth: .* could not be written'):
                runner.train()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        names = [name for name in files_in(tmp_path / 'run') if 'pth' in name]
        assert names == ['iter_4.pth']
        assert latest_checkpoint(tmp_path / 'run').name == 'iter_4.pth'

    def test_disk_full_leaves_the_best_checkpoint(self, make_runner, tmp_path):
        runner = make_runner(
            checkpoint=dict(save_best='score', rule='greater', interval=100),
            **self.validation(),
        )
        runner.register_hook(FillDisk(4))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            with pytest.raises(
                OutputError, match=r'best_score_iter_4\.pth: .* could not be written'
            ):
                runner.train()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [name for name in files_in(tmp_path / 'run') if 'pth' in name] == [
            'best_score_iter_2.pth'
        ]

    def test_best_checkpoint_replaces_the_one_before(self, make_runner, tmp_path):
        make_runner(
            checkpoint=dict(save_best='score', rule='greater', interval=100), **self.validation()
        ).train()
        assert [name for name in files_in(tmp_path / 'run') if 'best' in name] == [
            'best_score_iter_8.pth'
        ]

    def test_unknown_metric_names_the_known(self, make_runner):
        runner = make_runner(checkpoint=dict(save_best='PSNR', rule='greater'), **self.validation())
        with pytest.raises(ValueError, match=r"save_best='PSNR', but validation reports 'score'"):
            runner.train()

    def test_left_over_part_is_cleared(self, make_runner, tmp_path):
        (tmp_path / 'run').mkdir()
        (tmp_path / 'run' / 'iter_2.pth.123.part').write_bytes(b'half')
        make_runner(max_iters=2).train()
        assert not list((tmp_path / 'run').glob('*.part'))

    def test_resume_refuses_another_model(self, make_runner):
        make_runner(max_iters=2).train()
        runner = make_runner(resume=True, model=dict(type='NoisyModel', width=6))
        with pytest.raises(CheckpointError, match='does not fit NoisyModel'):
            runner.train()

    def test_fine_tuning_takes_what_fits(self, make_runner, tmp_path):
        make_runner(max_iters=2).train()
        trained = tmp_path / 'run' / 'iter_2.pth'
        wider = dict(type='NoisyModel', width=6)
        runner = make_runner('tuned', max_iters=2, load_from=str(trained), model=wider)
        runner.train()
        (log,) = (tmp_path / 'tuned').rglob('*.log')
        assert f'{trained} is taken in part' in log.read_text()
        assert '3 of another shape: layers.0.weight (8, 4) instead of (6, 4)' in log.read_text()
        assert '2 of 5 fit' in log.read_text()

    @staticmethod
    def validation():
        loader = dict(
            batch_size=1,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='NoisyNumbers'),
        )
        return dict(
            val_dataloader=loader,
            val_cfg=dict(type='ValLoop'),
            val_evaluator=dict(type='Rising'),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=8, val_interval=2),
        )
