"""molft reproduce on tiny sets: both protocols, going on after a stop, refusals, and the files."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from molft.cli import app
from molft.errors import MolftError
from molft.files import read_json
from molft.train.finetune import finetune
from molft.use import reproduce_runs
from molft.use.benchmark_data import BenchmarkData
from molft.use.checkout import find_commit
from molft.use.protocols import Setting, Tell
from molft.use.reproduce import reproduce
from molft.use.reproduce_runs import record_path
from tests.benchmark_sets import plain, use_tiny_sets
from tests.small import save_small_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_encoder(tmp_path_factory.mktemp("small") / "small")


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    use_tiny_sets(monkeypatch, folder)
    return folder


@pytest.fixture
def snap(encoder: Path) -> Setting:
    return Setting("snap", str(encoder), epochs=3, trees=5)


def test_protocol_snap_from_scratch(data: Path, tmp_path: Path) -> None:
    setting = Setting("snap", "none", epochs=2, trees=5)
    (record,) = reproduce(["bace"], tmp_path / "out", setting, seeds=1, data_dir=data)
    assert (record["set"], record["seed"], record["features"]) == ("bace", 0, "snap")
    assert (record["encoder"], record["encoder_sha256"], record["precision"]) == ("none", None, "float32")
    assert record["plan"]["batch_size"] == 32 and record["plan"]["dropout"] == 0.5
    assert record["epochs"] == [2] and record["best_epoch"][0] in (1, 2)
    assert list(record["scores"]) == ["network", "last epoch", "forest", "blend"]
    for found in record["scores"].values():
        assert 0 <= found["valid"] <= 1 and 0 <= found["test"] <= 1 and found["tasks"] == 1
    assert record["versions"].keys() == {"molft", "torch", "rdkit"}
    assert record["commit"] == find_commit()
    assert not (tmp_path / "out" / "unfinished").exists()


def test_protocol_molft(data: Path, encoder: Path, tmp_path: Path) -> None:
    setting = Setting("molft", str(encoder), epochs=2, ensemble_size=2, trees=5)
    (record,) = reproduce(["esol"], tmp_path / "out", setting, seeds=1, data_dir=data)
    assert list(record["scores"]) == ["network", "forest", "gp", "blend", "answer"]
    assert record["scores"]["answer"] == record["scores"][record["answer"]]
    assert len(record["best_epoch"]) == len(record["epochs"]) == 2
    assert (record["metric"], record["encoder"]) == ("rmse", "small")
    assert all(found["test"] > 0 for found in record["scores"].values())


def test_epochs_are_chosen_by_the_metric_of_the_set(
    data: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A lab's table with so rare a class would be judged by PR-AUC.
    monkeypatch.setattr("molft.use.fitting.ClassBalance.minority", 0.01)
    setting = Setting("molft", str(encoder), epochs=1, ensemble_size=1, trees=5)
    (record,) = reproduce(["bace"], tmp_path / "out", setting, seeds=1, data_dir=data)
    assert (record["metric"], record["plan"]["select"]) == ("roc_auc", "roc_auc")


def test_the_files_and_the_same_numbers_twice(data: Path, snap: Setting, tmp_path: Path) -> None:
    first = reproduce(["bace", "esol"], tmp_path / "a", snap, seeds=2, data_dir=data)
    again = reproduce(["bace", "esol"], tmp_path / "b", snap, seeds=2, data_dir=data)
    assert [plain(record) for record in first] == [plain(record) for record in again]
    assert first[0]["scores"] != first[1]["scores"]  # the seed matters
    records = pd.read_csv(tmp_path / "a" / "records.csv")
    assert records[["set", "seed"]].to_numpy().tolist() == [
        ["bace", 0],
        ["bace", 1],
        ["esol", 0],
        ["esol", 1],
    ]
    assert records["network_test"][1] == pytest.approx(first[1]["scores"]["network"]["test"])
    assert records["data_sha256"][0] == first[0]["data_sha256"]
    table = pd.read_csv(tmp_path / "a" / "table.csv")
    bace = table[table["set"] == "bace"].iloc[0]
    mean = sum(record["scores"]["network"]["test"] for record in first[:2]) / 2
    assert bace["network"] == pytest.approx(100 * mean)
    assert bace["published_none"] == 70.1 and "Hu, Liu et al., ICLR 2020" in bace["published_none_source"]
    results = read_json(tmp_path / "a" / "results.json")
    assert len(results["records"]) == 4 and results["options"]["epochs"] == 3
    assert (tmp_path / "a" / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_seed_is_not_run_again(
    data: Path, snap: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    reproduce(["bace"], out, snap, seeds=1, data_dir=data)
    before = record_path(out, "bace", 0).read_bytes()
    ran: list[int] = []
    run_seed = reproduce_runs.run_seed

    def count(found: BenchmarkData, setting: Setting, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
        ran.append(seed)
        return run_seed(found, setting, seed, folder, tell)

    monkeypatch.setattr(reproduce_runs, "run_seed", count)
    records = reproduce(["bace"], out, snap, seeds=3, data_dir=data, resume=True)
    assert ran == [1, 2] and len(records) == 3
    assert record_path(out, "bace", 0).read_bytes() == before
    # Nothing is left to do: not even the data are needed.
    assert len(reproduce(["bace"], out, snap, seeds=2, data_dir=tmp_path / "none", resume=True)) == 3
    assert ran == [1, 2]


def test_a_killed_seed_goes_on_to_the_same_numbers(
    data: Path, snap: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = reproduce(["bace"], tmp_path / "whole", snap, seeds=1, data_dir=data)
    monkeypatch.setattr("molft.use.protocols.finetune", partial(finetune, save_every_s=-1))
    monkeypatch.setattr(reproduce_runs._Watch, "tell", stop_at(2))
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        reproduce(["bace"], out, snap, seeds=1, data_dir=data)
    assert (out / "unfinished" / "bace-0" / "network.checkpoint").exists()
    assert not record_path(out, "bace", 0).exists()
    monkeypatch.setattr(reproduce_runs._Watch, "tell", lambda *_: None)
    (record,) = reproduce(["bace"], out, snap, seeds=1, data_dir=data, resume=True)
    assert plain(record) == plain(whole)


def stop_at(epoch: int) -> Callable[[object, int, int, int, str], None]:
    def tell(watch: object, seed: int, done: int, total: int, note: str) -> None:
        if done == epoch:
            raise KeyboardInterrupt

    return tell


def test_the_first_of_equal_validation_scores_is_taken(
    data: Path, snap: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = iter([0.1, 0.2, 0.3, 0.9, 0.9, 0.9])

    def score(found: BenchmarkData, part: str, values: object) -> tuple[float, int]:
        return (0.7, 1) if part == "valid" else (next(tests), 1)

    monkeypatch.setattr(BenchmarkData, "score", score)
    (record,) = reproduce(["bace"], tmp_path / "out", snap, seeds=1, data_dir=data)
    assert record["best_epoch"] == [1]
    assert record["scores"]["network"]["test"] == 0.1
    assert record["scores"]["last epoch"]["test"] == 0.3


def test_other_options_are_refused(data: Path, snap: Setting, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reproduce(["bace"], out, replace(snap, epochs=1), seeds=1, data_dir=data)
    with pytest.raises(MolftError, match="holds results already; go on with --resume"):
        reproduce(["bace"], out, snap, seeds=1, data_dir=data)
    with pytest.raises(MolftError, match=r"begun with something else: epochs was 1, now 3\. A table"):
        reproduce(["bace"], out, snap, seeds=1, data_dir=data, resume=True)
    other = save_small_encoder(tmp_path / "small", seed=1)
    with pytest.raises(MolftError, match="encoder_sha256 was "):
        reproduce(["bace"], out, Setting("snap", str(other), 1, trees=5), data_dir=data, resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(MolftError, match="is not empty and holds no molft reproduce"):
        reproduce(["bace"], tmp_path / "mine", snap, data_dir=data)


def test_what_can_not_be_run(data: Path, snap: Setting, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="qm9: no benchmark set of that name"):
        reproduce(["qm9"], tmp_path / "out", snap, data_dir=data)
    with pytest.raises(MolftError, match="ogbg-molhiv is not here"):
        reproduce(["ogbg-molhiv"], tmp_path / "out", snap, data_dir=data)
    with pytest.raises(MolftError, match="seeds 0, jobs 1"):
        reproduce(["bace"], tmp_path / "out", snap, seeds=0, data_dir=data)
    with pytest.raises(MolftError, match="protocol 'grover' is unknown; expected molft or snap"):
        Setting("grover")
    with pytest.raises(MolftError, match="one network a seed"):
        Setting("snap", ensemble_size=3)
    with pytest.raises(MolftError, match="epochs is 0"):
        Setting("snap", epochs=0)


def test_a_record_that_is_none_is_named(data: Path, snap: Setting, tmp_path: Path) -> None:
    reproduce(["bace"], tmp_path / "out", replace(snap, epochs=1), seeds=1, data_dir=data)
    record_path(tmp_path / "out", "bace", 7).write_text("[]")
    with pytest.raises(MolftError, match=r"bace-7\.json is no record"):
        reproduce(["bace"], tmp_path / "out", replace(snap, epochs=1), seeds=1, data_dir=data, resume=True)


def test_the_command(data: Path, encoder: Path, tmp_path: Path) -> None:
    words = ["reproduce", "bace", "--protocol", "snap", "--encoder", encoder, "--seeds", 2, "--epochs", 1,
             "--trees", 5, "--data-dir", data, "--jobs", 1, "-o", tmp_path / "out"]  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    for told in ("bace seed 1: test network ", "70.1±5.4", "84.5±.7", "Seeds: bace 2."):
        assert told in " ".join(done.output.split())
    again = CliRunner().invoke(app, [str(word) for word in words])
    assert again.exit_code == 1 and "--resume" in again.output
    more = CliRunner().invoke(app, [str(word) for word in [*words, "--resume"]])
    assert more.exit_code == 0 and "bace: 2 of 2 seeds are finished already" in more.output
