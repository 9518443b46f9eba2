"""Steps in parts, in several processes, in 16 bits, stopped by the system, and begun from an encoder."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from molft.data.store import write_store
from molft.errors import MolftError
from molft.train.encoders import new_encoder
from molft.train.pretrain import pretrain
from molft.train.pretrain_config import OBJECTIVES
from molft.train.processes import Processes, join_processes
from tests.series import block_of, pyridines
from tests.train_deeds import SMALL, same, small_store

ROOT = Path(__file__).parents[1]
# An objective of each kind: those with parts that can be empty, contrasts inside the part, labels with gaps.
MIXED = replace(
    SMALL,
    objectives={"masking": 1.0, "context": 1.0, "edges": 0.1, "contrastive": 0.5, "labels": 1.0},
    batch_size=40,
    learning_rate=0.003,
    parts=2,
)

EVERY = replace(SMALL, objectives=dict.fromkeys(OBJECTIVES, 1.0))

SHARE = """
import sys
from pathlib import Path
import torch
from molft.train.pretrain import pretrain
from molft.train.processes import join_processes, leave_processes
from tests.test_pretrain_parts import MIXED
torch.set_num_threads(1)
processes, device = join_processes("cpu")
folder = Path(sys.argv[1])
options = {"report_every": 1, "device": device, "processes": processes}
encoder = pretrain(folder / "store", folder / "run", MIXED, **options)
torch.save(encoder.state_dict(), folder / f"encoder-{processes.rank}.pt")
leave_processes()
"""


def losses(directory: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_train_as_one_does_in_two_parts(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    (tmp_path / "share.py").write_text(SHARE)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, str(tmp_path / "share.py"), str(tmp_path)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        timeout=240,
    )
    alone = pretrain(store, tmp_path / "alone", MIXED, report_every=1)
    curve = losses(tmp_path / "alone", "train_loss")
    assert len(curve) == 10
    assert losses(tmp_path / "run", "train_loss") == pytest.approx(curve, rel=1e-4)
    for name in MIXED.objectives:
        shared, own = (losses(tmp_path / folder, f"{name}_loss") for folder in ("run", "alone"))
        assert shared == pytest.approx(own, rel=1e-3)
    first, second = (
        torch.load(tmp_path / f"encoder-{rank}.pt", map_location="cpu", weights_only=True) for rank in (0, 1)
    )
    for name, values in first.items():
        torch.testing.assert_close(second[name], values, msg=name)
        if "num_batches" not in name:
            torch.testing.assert_close(alone.state_dict()[name], values, rtol=2e-3, atol=2e-4, msg=name)


def test_parts_change_the_normalisation_and_nothing_else(tmp_path: Path) -> None:
    """In one part or in two, the curve goes the same way."""
    store = small_store(tmp_path / "store")
    ends = []
    for parts in (1, 2):
        config = replace(SMALL, parts=parts, epochs=6, learning_rate=0.01)
        pretrain(store, tmp_path / str(parts), config, report_every=6)
        ends.append(losses(tmp_path / str(parts), "fingerprints_loss")[-1])
    assert ends[0] == pytest.approx(ends[1], rel=0.15)


def test_parts_that_can_not_be_shared_are_refused(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", count=20)
    with pytest.raises(MolftError, match=r"1 part\(s\) of a step can't be shared by 2 processes"):
        pretrain(store, tmp_path / "run", SMALL, processes=Processes(0, 2))


def test_half_a_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(MolftError, match="start the command with torchrun"):
        join_processes("cpu")


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes, device = join_processes("cpu")
    assert (processes, device) == (Processes(0, 1), torch.device("cpu"))
    values = torch.tensor([1.0, 2.0])
    processes.sum([values])
    processes.wait()
    assert values.tolist() == [1.0, 2.0]
    assert [processes.any(flag, device) for flag in (True, False)] == [True, False]


def test_16_bits_learn_too(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    first = {}
    for precision in ("float32", "bf16"):
        config = replace(SMALL, precision=precision, epochs=8, learning_rate=0.01)
        pretrain(store, tmp_path / precision, config, report_every=6)
        curves = [losses(tmp_path / precision, f"{name}_loss") for name in SMALL.objectives]
        assert all(curve[-1] < 0.9 * curve[0] for curve in curves)
        first[precision] = losses(tmp_path / precision, "train_loss")[0]
    assert first["bf16"] != first["float32"]
    assert first["bf16"] == pytest.approx(first["float32"], rel=0.03)


def test_asked_to_stop_a_run_saves_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    teacher = new_encoder("snap", layers=2, width=16, summary=8)
    begin = partial(pretrain, store, config=EVERY, teacher=teacher)
    whole = begin(tmp_path / "whole")

    def ask(facts: dict[str, float]) -> None:
        if facts["step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(MolftError, match="asked to stop at step 5 of 12; the checkpoint is written"):
        begin(tmp_path / "run", report_every=1, checkpoint_every_s=3600.0, on_report=ask)
    taken: list[float] = []
    told = partial(begin, report_every=1, on_report=lambda facts: taken.append(facts["step"]))
    encoder = told(tmp_path / "run", resume=True)
    assert taken == [6, 7, 8, 9, 10, 11, 12]
    assert same(encoder.state_dict(), whole.state_dict())


def test_a_run_begins_from_an_encoder(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    config = replace(SMALL, objectives={"fingerprints": 1.0}, learning_rate=1e-9, warmup=0.5)
    init = new_encoder("snap", layers=2, width=16)
    before = init.x_embedding1.weight.detach().clone()
    encoder = pretrain(store, tmp_path / "run", config, init=init)
    assert (init.config.summary, encoder.config.summary) == (0, 512)
    torch.testing.assert_close(encoder.x_embedding1.weight.detach(), before, atol=1e-6, rtol=0)


def test_a_summary_is_trained_on_not_made_anew(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    config = replace(SMALL, objectives={"fingerprints": 1.0}, learning_rate=1e-9, warmup=0.5)
    init = new_encoder("snap", layers=2, width=16, summary=24)
    before = init.get_parameter("summary.linear.weight").detach().clone()
    encoder = pretrain(store, tmp_path / "run", config, init=init)
    assert encoder is init
    torch.testing.assert_close(
        encoder.get_parameter("summary.linear.weight").detach(), before, atol=1e-6, rtol=0
    )


def test_without_objectives_of_molecules_there_is_no_summary(tmp_path: Path) -> None:
    config = replace(SMALL, objectives={"masking": 1.0}, epochs=1)
    encoder = pretrain(small_store(tmp_path / "store", count=40), tmp_path / "run", config)
    assert encoder.config.summary == 0
    assert encoder.summary is None


def test_an_encoder_of_other_features_is_refused(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", count=20)
    init = new_encoder("ogb", layers=2, width=16)
    with pytest.raises(MolftError, match="reads 'ogb' features, the corpus has 'snap'"):
        pretrain(store, tmp_path / "run", SMALL, init=init)


@pytest.mark.parametrize("jk", ["concat", "sum", "max"])
@pytest.mark.parametrize("mode", ["cbow", "skipgram"])
def test_contexts_are_as_wide_as_the_encoder(jk: str, mode: str, tmp_path: Path) -> None:
    config = replace(SMALL, objectives={"context": 1.0}, jk=jk, context_mode=mode, epochs=1)
    pretrain(small_store(tmp_path / "store", count=40), tmp_path / "run", config)
    assert losses(tmp_path / "run", "context_loss")[-1] < 100


@pytest.mark.parametrize("conv", ["gcn", "graphsage", "gat"])
def test_other_layers_learn_too(conv: str, tmp_path: Path) -> None:
    config = replace(SMALL, objectives={"masking": 1.0, "context": 1.0}, conv=conv, epochs=1)
    encoder = pretrain(small_store(tmp_path / "store", count=40), tmp_path / "run", config)
    assert encoder.config.conv == conv


@pytest.mark.parametrize("objective", ["descriptors", "fingerprints", "labels"])
def test_targets_that_were_not_packed_are_missed(objective: str, tmp_path: Path) -> None:
    write_store(tmp_path / "store", "snap", [(block_of(pyridines(9)).graphs, {})])
    with pytest.raises(MolftError, match=f"packed without what the objective '{objective}' predicts"):
        pretrain(tmp_path / "store", tmp_path / "run", replace(SMALL, objectives={objective: 1.0}))
