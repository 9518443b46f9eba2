"""Pre-training: each objective is learned, a killed run goes on bit for bit, another run is refused."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molft.chem.descriptors import DESCRIPTORS
from molft.chem.prepare import Recipe, prepare
from molft.data.batch import Batch, make_batch
from molft.data.store import open_store
from molft.errors import MolftError
from molft.model.encoder import Encoder
from molft.train.encoders import new_encoder
from molft.train.objectives.distillation import make_teacher
from molft.train.objectives.fingerprints import unfold
from molft.train.pretrain import OBJECTIVES, PretrainConfig, Pretraining, pretrain, target_arrays
from tests.series import block_of, pyridines
from tests.train_deeds import SMALL, run_and_die, same, small_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred pyridines with targets."""
    return small_store(tmp_path_factory.mktemp("corpus") / "store")


Reports = list[dict[str, float]]


def reports(directory: Path) -> Reports:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "molecules_per_s"} for line in lines]


@pytest.mark.parametrize(
    ("objective", "loss"),
    [
        *(("masking", 0.75), ("descriptors", 0.5), ("fingerprints", 0.4), ("bonds", 0.7), ("structure", 0.4)),
        *(("edges", 0.9), ("infomax", 0.9), ("context", 0.8), ("contrastive", 0.85), ("labels", 0.6)),
    ],
)
def test_each_objective_alone_is_learned(objective: str, loss: float, store: Path, tmp_path: Path) -> None:
    """The held-out loss falls below ``loss`` times what it was after the first epoch."""
    config = replace(SMALL, objectives={objective: 1.0}, epochs=12, learning_rate=0.01, batch_size=30)
    pretrain(store, tmp_path / "run", config, report_every=6)
    found = reports(tmp_path / "run")
    assert [set(report) for report in found] == [
        {f"{objective}_loss", f"{objective}_score", "train_loss", "step", "steps", "epoch"}
    ] * 12
    assert found[-1][f"{objective}_loss"] < loss * found[0][f"{objective}_loss"]
    assert found[-1][f"{objective}_score"] > found[0][f"{objective}_score"]


def test_the_encoder_that_comes_back_is_ready_to_use(store: Path, tmp_path: Path) -> None:
    encoder = pretrain(store, tmp_path / "run", replace(SMALL, jk="concat"))
    assert isinstance(encoder, Encoder) and not encoder.training
    assert (encoder.config.layers, encoder.config.width, encoder.config.jk, encoder.config.scheme) == (
        2,
        16,
        "concat",
        "snap",
    )
    assert torch.isfinite(encoder(make_batch(block_of(pyridines(3)).graphs))).all()


def test_the_scheme_is_that_of_the_store(tmp_path: Path) -> None:
    encoder = pretrain(small_store(tmp_path / "store", "ogb", count=20), tmp_path / "run", SMALL)
    assert encoder.config.scheme == "ogb"
    assert encoder.config.atom_sizes == (120, 6, 13, 13, 11, 7, 7, 3, 3)


# --------------------------------------------------------------------------------------- the same again


@pytest.fixture(scope="module")
def uninterrupted(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Reports]:
    """The encoder of SMALL, and a report for each of its twelve steps."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    return pretrain(store, directory, SMALL, report_every=1), reports(directory)


def test_the_same_seed_gives_the_same_encoder_and_another_seed_another(
    store: Path, uninterrupted: tuple[Encoder, Any], tmp_path: Path
) -> None:
    again = pretrain(store, tmp_path / "again", SMALL)
    other = pretrain(store, tmp_path / "other", replace(SMALL, seed=4))
    assert same(again.state_dict(), uninterrupted[0].state_dict())
    assert not same(other.state_dict(), uninterrupted[0].state_dict())


def test_how_often_is_reported_changes_nothing(
    store: Path, uninterrupted: tuple[Encoder, Any], tmp_path: Path
) -> None:
    seen: Reports = []
    encoder = pretrain(store, tmp_path / "run", SMALL, report_every=5, on_report=seen.append)
    assert [facts["step"] for facts in seen] == [5, 10, 12]
    assert [facts["epoch"] for facts in seen] == [5 / 6, 10 / 6, 2.0]
    assert {facts["steps"] for facts in seen} == {12}
    assert same(encoder.state_dict(), uninterrupted[0].state_dict())


def test_a_killed_run_goes_on_bit_for_bit(uninterrupted: tuple[Encoder, Reports], tmp_path: Path) -> None:
    small_store(tmp_path / "store")
    assert run_and_die("pretrain", tmp_path, at=8) == -signal.SIGKILL
    assert len(reports(tmp_path / "run")) == 8  # the checkpoint is that of step 7
    taken: list[float] = []
    encoder = pretrain(
        tmp_path / "store",
        tmp_path / "run",
        SMALL,
        resume=True,
        report_every=1,
        on_report=lambda facts: taken.append(facts["step"]),
    )
    assert taken == [8, 9, 10, 11, 12]
    assert same(encoder.state_dict(), uninterrupted[0].state_dict())
    assert reports(tmp_path / "run") == uninterrupted[1]


class Stopped(Exception):
    """Thrown in the middle of a run."""


def begin(store: Path, directory: Path, at: int, every_s: float = -1.0) -> None:
    """Begin SMALL and stop in the report of step ``at``."""

    def stop(facts: dict[str, float]) -> None:
        if facts["step"] == at:
            raise Stopped

    with pytest.raises(Stopped):
        pretrain(store, directory, SMALL, report_every=1, checkpoint_every_s=every_s, on_report=stop)


@pytest.mark.parametrize("at", [1, 2, 6, 7, 12])  # six steps are an epoch
def test_a_stopped_run_goes_on_bit_for_bit(
    at: int, store: Path, uninterrupted: tuple[Encoder, Reports], tmp_path: Path
) -> None:
    begin(store, tmp_path / "run", at)
    encoder = pretrain(store, tmp_path / "run", SMALL, resume=True, report_every=1)
    assert same(encoder.state_dict(), uninterrupted[0].state_dict())
    assert reports(tmp_path / "run") == uninterrupted[1]


def test_a_run_that_was_stopped_before_its_first_checkpoint_begins_anew(
    store: Path, uninterrupted: tuple[Encoder, Reports], tmp_path: Path
) -> None:
    begin(store, tmp_path / "run", at=3, every_s=3600.0)
    encoder = pretrain(store, tmp_path / "run", SMALL, resume=True, report_every=1)
    assert same(encoder.state_dict(), uninterrupted[0].state_dict())
    assert reports(tmp_path / "run") == uninterrupted[1]


def test_a_finished_run_is_read_back(
    store: Path, uninterrupted: tuple[Encoder, Reports], tmp_path: Path
) -> None:
    pretrain(store, tmp_path / "run", SMALL, report_every=1)
    encoder = pretrain(store, tmp_path / "run", SMALL, resume=True, report_every=1)
    assert not encoder.training
    assert same(encoder.state_dict(), uninterrupted[0].state_dict())
    assert reports(tmp_path / "run") == uninterrupted[1]


# -------------------------------------------------------------------------------------------- refusals


@pytest.fixture(scope="module")
def begun(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped in its fourth step."""
    directory = tmp_path_factory.mktemp("begun") / "run"
    begin(store, directory, at=4)
    return directory


def test_a_begun_run_is_not_overwritten(store: Path, begun: Path) -> None:
    with pytest.raises(MolftError, match="holds a run already; continue it with --resume"):
        pretrain(store, begun, SMALL)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"epochs": 3},
        {"batch_size": 16},
        {"learning_rate": 0.01},
        {"width": 24},
        {"layers": 3},
        {"jk": "sum"},
        {"objectives": {"masking": 1.0}},
        {"objectives": {"masking": 1.0, "descriptors": 0.5, "fingerprints": 1.0}},
    ],
)
def test_a_run_of_other_options_is_refused(change: dict[str, Any], store: Path, begun: Path) -> None:
    with pytest.raises(MolftError, match="was begun with other options"):
        pretrain(store, begun, replace(SMALL, **change), resume=True)


@pytest.mark.parametrize(("scheme", "count"), [("ogb", 200), ("snap", 120)])
def test_a_run_on_another_store_is_refused(scheme: str, count: int, begun: Path, tmp_path: Path) -> None:
    other = small_store(tmp_path / "store", scheme, count)
    with pytest.raises(MolftError, match="was begun on another store"):
        pretrain(other, begun, SMALL, resume=True)


@pytest.mark.parametrize("place", [100, -100])
def test_a_damaged_checkpoint_is_refused(place: int, store: Path, begun: Path, tmp_path: Path) -> None:
    broken = bytearray((begun / "checkpoint.safetensors").read_bytes())
    broken[place] ^= 1
    (tmp_path / "checkpoint.safetensors").write_bytes(broken)
    with pytest.raises(MolftError, match="can't be read as a checkpoint"):
        pretrain(store, tmp_path, SMALL, resume=True)


def test_one_molecule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"holds 1 molecule\(s\); at least two are needed"):
        pretrain(small_store(tmp_path / "store", count=1), tmp_path / "run", SMALL)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_handful_of_molecules_is_enough(count: int, tmp_path: Path) -> None:
    pretrain(small_store(tmp_path / "store", count=count), tmp_path / "run", SMALL)
    assert np.isfinite([value for report in reports(tmp_path / "run") for value in report.values()]).all()


def test_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="is no packed store"):
        pretrain(tmp_path, tmp_path / "run", SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": {}}, "objectives none: expected some of masking, descriptors, fingerprints"),
        ({"objectives": {"masking": 1.0, "motifs": 1.0}}, "'motifs'"),
        ({"objectives": {"masking": 1.0}, "parts": 0}, "parts is 0"),
        ({"objectives": {"masking": 1.0}, "parts": 200}, "can't be computed in 200 parts"),
        ({"objectives": {"context": 1.0}, "context_mode": "glove"}, "context_mode is 'glove'"),
        ({"objectives": {"context": 1.0}, "precision": "fp8"}, "precision is 'fp8'"),
        ({"objectives": {"masking": 0.0}}, r"masking is 0\.0; it must be above 0"),
        ({"objectives": {"masking": float("nan")}}, "masking is nan"),
        ({"objectives": {"masking": 1.0}, "epochs": 0}, "epochs is 0"),
        ({"objectives": {"masking": 1.0}, "batch_size": -1}, "batch_size is -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        PretrainConfig(**options)


# --------------------------------------------------------------------------------------------- targets


def test_stored_targets_are_half_precision_descriptors_and_packed_bits(store: Path) -> None:
    _, arrays, scheme = open_store(store)
    block = block_of(pyridines(200), forest=True)
    assert scheme == "snap"
    assert arrays["descriptors"].dtype == np.float16 and arrays["descriptors"].shape == (
        200,
        len(DESCRIPTORS),
    )
    np.testing.assert_allclose(arrays["descriptors"], block.descriptors, rtol=1e-3, atol=1e-3)
    assert unfold(arrays["bits"]).sum(axis=1).tolist() == [
        len({place % 512 for place in np.flatnonzero(row)}) for row in block.counts
    ]


def test_a_descriptor_too_large_for_half_precision_is_clipped() -> None:
    block = block_of(["C" * 20], forest=True)
    huge = replace(block, descriptors=np.array([[1e5, -1e5, 1.5]], np.float32))
    assert target_arrays(huge)["descriptors"].tolist() == [[65504.0, -65504.0, 1.5]]


def test_no_molecule_has_no_targets() -> None:
    arrays = target_arrays(prepare(["not a molecule"], Recipe(scheme="snap", forest=True)))
    assert arrays["bits"].shape == (0, 64)
    assert arrays["descriptors"].shape == (0, len(DESCRIPTORS))


def test_a_block_without_descriptors_is_refused() -> None:
    with pytest.raises(MolftError, match="prepared without fragment counts and descriptors"):
        target_arrays(block_of(["CCO"]))


# ---------------------------------------------------------------------------------------------- masking


def model_of(objectives: dict[str, float], share: float) -> Pretraining:
    config = replace(SMALL, objectives=objectives, masked_share=share)
    count = len(DESCRIPTORS)
    labels = (torch.zeros(2), torch.ones(2), True)
    encoder = new_encoder("snap", layers=2, width=16)
    teacher = make_teacher(new_encoder("snap", layers=2, width=16, summary=8)), 8
    return Pretraining(encoder, config, torch.zeros(count), torch.ones(count), labels, teacher)


def watch(model: Pretraining, monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The batches that the encoder will be given."""
    seen: list[Batch] = []
    forward = model.encoder.forward

    def look(batch: Batch) -> torch.Tensor:
        seen.append(batch)
        return forward(batch)

    monkeypatch.setattr(model.encoder, "forward", look)
    return seen


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 1, 1), (0.5, 60, 140), (1.0, 200, 200)])
def test_the_share_of_molecules_with_hidden_atoms(
    share: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of({"masking": 1.0}, share)
    batch = make_batch(block_of(pyridines(200)).graphs)
    seen = watch(model, monkeypatch)
    before = batch.atoms.clone()
    model(batch, {}, torch.Generator().manual_seed(0))
    hidden = (seen[0].atoms == torch.tensor([119, 0])).all(dim=1)
    touched = torch.bincount(batch.graph[hidden], minlength=200)
    sizes = torch.bincount(batch.graph, minlength=200)
    assert least <= int((touched > 0).sum()) <= most
    assert all(int(t) in (0, int(0.15 * int(n) + 1)) for t, n in zip(touched, sizes, strict=True))
    assert torch.equal(batch.atoms, before)


def test_without_masking_the_encoder_sees_the_molecules_as_they_are(
    monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    model = model_of({"fingerprints": 1.0}, 0.5)
    graphs, arrays, _ = open_store(store)
    batch = make_batch(graphs.take(range(200)))
    seen = watch(model, monkeypatch)
    out = model(batch, {"bits": torch.from_numpy(unfold(arrays["bits"]))}, torch.Generator())
    assert set(out) == {"fingerprints"}
    assert torch.equal(seen[0].atoms, batch.atoms)


def test_every_wanted_objective_teaches_the_encoder(store: Path) -> None:
    graphs, arrays, _ = open_store(store)
    batch = make_batch(graphs.take(range(30)))
    targets = {
        "bits": torch.from_numpy(unfold(arrays["bits"][:30])),
        "descriptors": torch.from_numpy(arrays["descriptors"][:30].astype(np.float32)),
        "labels": torch.ones(30, 2),
    }
    for objective in OBJECTIVES:
        model = model_of({objective: 1.0}, 0.5)
        out = model(batch, targets, torch.Generator().manual_seed(0))
        assert set(out) == {objective}
        out[objective][0].backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.encoder.parameters()), (
            objective
        )
        heads = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
        assert heads == {"encoder", objective} - {"edges"}  # edges are scored by the states alone
