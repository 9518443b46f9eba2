"""Distillation against arithmetic, and from a teacher to a smaller student."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from molft.data.batch import make_batch
from molft.errors import MolftError
from molft.model.network import build_reader
from molft.model.readout import SUM_SCALE
from molft.train.encoders import new_encoder
from molft.train.objectives.distillation import Distillation, make_teacher
from molft.train.pretrain import pretrain
from tests.series import block_of, pyridines
from tests.train_deeds import SMALL, small_store


def test_the_loss_is_the_squared_error_over_the_variance() -> None:
    model = Distillation(2, 2)
    with torch.no_grad():
        model.head.weight.copy_(torch.eye(2))
        model.head.bias.zero_()
    summary = torch.tensor([[1.0, 0.0], [3.0, 2.0], [2.0, 2.0]])
    vectors = torch.tensor([[1.0, 1.0], [3.0, 1.0], [2.0, 4.0]])
    # Errors 0 0 2, 1 1 2 squared: 0 0 0, 1 1 4 over six; variance (1 + 1 + 0 + 1 + 1 + 4) over six.
    loss, score = model(summary, vectors)
    assert loss.item() == pytest.approx(6 / 8)
    assert score.item() == pytest.approx(2 / 8)


def test_the_teacher_s_vectors_are_those_of_the_encoder_in_eval_mode() -> None:
    torch.manual_seed(0)
    encoder = new_encoder("snap", layers=2, width=16, summary=24)
    with torch.no_grad():
        encoder.train()(make_batch(block_of(pyridines(20)).graphs))  # running statistics other than 0 and 1
    batch = make_batch(block_of(pyridines(30)).graphs)
    given = make_teacher(encoder)(batch)
    encoder.eval()
    sums = torch.zeros(30, 16).index_add_(0, batch.graph, encoder(batch))
    means = sums / torch.bincount(batch.graph).unsqueeze(1)
    pooled = torch.cat([means, means * torch.bincount(batch.graph).unsqueeze(1) * SUM_SCALE], dim=1)
    assert given.shape == (30, 24) and not given.requires_grad
    torch.testing.assert_close(given, encoder.summarize(pooled).detach())


def test_a_narrow_student_learns_what_a_wide_teacher_says(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", count=200)
    torch.manual_seed(1)
    teacher = new_encoder("snap", layers=2, width=32, summary=24)
    reader, batch = build_reader(teacher).train(), make_batch(block_of(pyridines(100)).graphs)
    for _ in range(50):
        reader(batch)  # until the running statistics are those of molecules, and its vectors vary
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    config = replace(SMALL, objectives={"distillation": 1.0}, epochs=60, learning_rate=0.01, batch_size=30)
    student = pretrain(store, tmp_path / "run", config, teacher=teacher)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["distillation_score"] > 0.9
    assert student.config.width == 16 and student.config.summary == config.summary
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


def test_a_teacher_that_reads_other_features_is_refused(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", count=20)
    config = replace(SMALL, objectives={"distillation": 1.0})
    with pytest.raises(
        MolftError, match="the encoder to learn from reads 'ogb' features, the corpus has 'snap'"
    ):
        pretrain(store, tmp_path / "run", config, teacher=new_encoder("ogb", layers=2, width=16, summary=8))


def test_the_objective_and_a_teacher_need_each_other(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", count=20)
    with pytest.raises(MolftError, match="'distillation' and an encoder to learn from need each other"):
        pretrain(store, tmp_path / "run", replace(SMALL, objectives={"distillation": 1.0}))
    with pytest.raises(MolftError, match="'distillation' and an encoder to learn from need each other"):
        pretrain(store, tmp_path / "run", SMALL, teacher=new_encoder("snap", layers=2, width=16, summary=8))
