"""From curated molecules to a model, for every kind of label a lab has."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from molft.errors import MolftError
from molft.model.weights import load_encoder_files
from molft.use.dataset import Dataset, read_dataset
from molft.use.fitting import Fitted, fit, forest_features, plan_model, start_encoder
from molft.use.model import load
from molft.use.options import Options, Silent
from tests.series import has_halogen, pyridines
from tests.small import save_small_encoder, small_options

ROWS = 48


class Heard(Silent):
    """Keeps the lines and the tables it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tables: dict[str, dict[str, str]] = {}

    def line(self, text: str) -> None:
        self.lines.append(text)

    def rows(self, title: str, rows: object) -> None:
        self.tables[title] = dict(rows)  # type: ignore[call-overload]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_encoder(tmp_path_factory.mktemp("encoder"), seed=1)


def numbers(rows: int = ROWS) -> np.ndarray:
    """Values around 6.5 that follow from size and halogens."""
    smiles = pyridines(rows)
    return 5 + np.array([len(text) for text in smiles]) / 12 + has_halogen(smiles)


def classes(rows: int = ROWS) -> list[str]:
    return [f"{value:.0f}" for value in has_halogen(pyridines(rows))]


def read(folder: Path, columns: dict[str, list[str]], options: Options) -> Dataset:
    frame = pd.DataFrame({"smiles": pyridines(len(next(iter(columns.values()))))} | columns)
    frame.to_csv(folder / "assay.csv", index=False)
    return read_dataset(folder / "assay.csv", options, "snap", Silent())


def fitted(
    folder: Path,
    encoder: Path,
    columns: dict[str, list[str]],
    reporter: Silent | None = None,
    **options: object,
) -> tuple[Fitted, Dataset]:
    """A fit on pyridines with the given label columns."""
    chosen = small_options(encoder, target_columns=tuple(n for n in columns if n != "set"), **options)
    data = read(folder, columns, chosen)
    (folder / "run").mkdir(exist_ok=True)
    start, card = start_encoder(chosen)
    told = reporter or Silent()
    about, plan = plan_model(data, start, card, chosen, told)
    return fit(data, start, about, plan, folder / "run", chosen, told), data


def assert_sound(found: Fitted, folder: Path) -> None:
    """Saved and loaded it predicts the same finite numbers; its scores are JSON without NaN."""
    found.model.save(folder / "model")
    expected = found.model.predict(pyridines(20))
    assert load(folder / "model").predict(pyridines(20)).equals(expected)
    assert np.isfinite(expected[list(found.model.about.tasks)].to_numpy()).all()
    json.dumps(found.evaluation.to_json(), allow_nan=False)


def test_one_task_of_classes(tmp_path: Path, encoder: Path) -> None:
    heard = Heard()
    found, data = fitted(tmp_path, encoder, {"active": classes()}, heard)
    about = found.model.about
    assert (about.tasks, about.task_type, about.members) == (("active",), "classification", 1)
    assert (about.centre, about.scale) == ((0.0,), (1.0,))
    assert found.evaluation.verdict.startswith(about.answer)
    assert heard.tables["plan"]["networks"] == "1, averaged"
    assert about.facts["plan"]["reason"].startswith(f"{len(data.split.train)} labelled training molecules")
    assert [len(epochs) for epochs in found.history] == [12]  # ten of the head alone
    assert_sound(found, tmp_path)


@pytest.mark.parametrize("strategy", ["frozen", "wise-ft", "lora", "adapter"])
def test_a_strategy_makes_a_plain_model_and_tells_what_it_keeps(
    strategy: str, tmp_path: Path, encoder: Path
) -> None:
    heard = Heard()
    found, _ = fitted(tmp_path, encoder, {"active": classes()}, heard, strategy=strategy)
    kept = found.model.about.facts["retention"]
    assert len(kept) == 1 and 0.0 <= kept[0] <= 1.0
    assert kept[0] == 1.0 or strategy != "frozen"
    assert f"of what pre-training had added to the encoder, {kept[0]:.0%} is left" in heard.lines
    averaged = [line for line in heard.lines if line.startswith("share of the fine-tuned weights")]
    assert len(averaged) == (strategy == "wise-ft")
    assert heard.tables["plan"]["strategy"] == strategy
    assert_sound(found, tmp_path)


def test_without_pre_training_there_is_nothing_to_forget(tmp_path: Path, encoder: Path) -> None:
    chosen, heard = small_options("none", target_columns=("active",), epochs=1), Heard()
    data = read(tmp_path, {"active": classes()}, chosen)
    start, _ = load_encoder_files(encoder)  # a small one, not pre-trained as far as the options say
    about, plan = plan_model(data, start, {}, chosen, heard)
    (tmp_path / "run").mkdir()
    found = fit(data, start, about, plan, tmp_path / "run", chosen, heard)
    assert "retention" not in found.model.about.facts
    assert not any("pre-training" in line for line in heard.lines)


@pytest.mark.parametrize(("asked", "rows", "members"), [(0, 48, 3), (2, 48, 2)])
def test_how_many_networks(tmp_path: Path, encoder: Path, asked: int, rows: int, members: int) -> None:
    found, _ = fitted(tmp_path, encoder, {"active": classes(rows)}, ensemble_size=asked, epochs=1)
    assert found.model.about.members == len(found.model.networks) == len(found.history) == members


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e6])
def test_targets_are_scaled_for_the_network_and_back(tmp_path: Path, encoder: Path, unit: float) -> None:
    values = (numbers() * unit).astype(np.float32)
    found, data = fitted(tmp_path, encoder, {"value": [repr(float(v)) for v in values]})
    train = data.assay.labels[data.split.train, 0].astype(float)
    assert found.model.about.centre == pytest.approx([train.mean()], rel=1e-6)
    assert found.model.about.scale == pytest.approx([train.std()], rel=1e-6)
    network = found.model.network_values(data.block.graphs)[:, 0]
    # Hardly trained, but in the unit of the labels: around their mean, within a few of their spreads.
    assert np.abs((network - train.mean()) / train.std()).max() < 5
    assert_sound(found, tmp_path)


def test_the_unit_changes_nothing_but_the_unit(tmp_path: Path, encoder: Path) -> None:
    texts = [[f"{value * unit:.4f}" for value in numbers()] for unit in (1, 1000)]
    answers = []
    for number, column in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        found, data = fitted(folder, encoder, {"value": column})
        answers.append(found.model.network_values(data.block.graphs)[:, 0])
    np.testing.assert_allclose(answers[1], answers[0] * 1000, rtol=1e-3)


def test_equal_values_are_no_reason_to_divide_by_zero(tmp_path: Path, encoder: Path) -> None:
    found, _ = fitted(tmp_path, encoder, {"value": ["6.5"] * ROWS})
    assert found.model.about.centre == (6.5,) and found.model.about.scale == (1.0,)
    assert_sound(found, tmp_path)


def test_many_tasks_with_missing_labels(tmp_path: Path, encoder: Path) -> None:
    first, second = classes(), classes()[::-1]
    first[::3], second[1::2] = [""] * len(first[::3]), [""] * len(second[1::2])
    found, data = fitted(tmp_path, encoder, {"a": first, "b": second}, strategy="full")
    assert found.model.about.tasks == ("a", "b")
    # A molecule without any label is left out.
    kept = [pair for pair in zip(first, second, strict=True) if any(pair)]
    expected = [[float(label or "nan") for label in pair] for pair in kept]
    np.testing.assert_array_equal(data.assay.labels, expected)
    assert found.model.answer(data.block).shape == (len(data.assay.smiles), 2)
    assert found.evaluation.scores["test"]["network"].mean["brier"].note == "2 of 2 tasks"
    assert_sound(found, tmp_path)


def test_each_task_is_scaled_by_its_own_labels(tmp_path: Path, encoder: Path) -> None:
    small, large = numbers(), 1000 * numbers()[::-1]
    texts = {"small": [f"{v:.3f}" for v in small], "large": [f"{v:.3f}" for v in large]}
    texts["large"][::2] = [""] * len(texts["large"][::2])
    found, data = fitted(tmp_path, encoder, texts)
    train = data.assay.labels[data.split.train].astype(float)
    np.testing.assert_allclose(found.model.about.centre, np.nanmean(train, axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.model.about.scale, np.nanstd(train, axis=0), rtol=1e-6)
    assert_sound(found, tmp_path)


def test_a_task_without_training_labels_is_undefined_and_the_rest_is_compared(
    tmp_path: Path, encoder: Path
) -> None:
    labels, rare, parts = classes(), [""] * ROWS, ["train"] * 32 + ["valid"] * 8 + ["test"] * 8
    rare[32:] = classes()[32:]
    heard = Heard()
    found, _ = fitted(tmp_path, encoder, {"common": labels, "rare": rare, "set": parts}, heard, split="set")
    assert "forest: rare: no label to learn from; the forest has no answer" in heard.lines
    forest = found.evaluation.scores["test"]["forest"].tasks["rare"]["roc_auc"]
    assert forest.value is None and "predictions are missing" in forest.note
    valid = {name: s.tasks["common"]["roc_auc"].value for name, s in found.evaluation.scores["valid"].items()}
    told = ", ".join(f"{name} {value:.3f}" for name, value in valid.items())
    assert found.evaluation.verdict.endswith(f"({told})")
    json.dumps(found.evaluation.to_json(), allow_nan=False)


def test_censored_labels_are_learned_from_and_not_scored_as_exact(tmp_path: Path, encoder: Path) -> None:
    texts = [
        f">{v:.2f}" if row % 3 == 0 else f"<{v:.2f}" if row % 3 == 1 else f"{v:.2f}"
        for row, v in enumerate(numbers())
    ]
    found, data = fitted(tmp_path, encoder, {"value": texts})
    assert np.bincount(data.assay.bounds[:, 0] + 1, minlength=3).tolist() == [16, 16, 16]
    scores = found.evaluation.scores["test"]["network"].tasks["value"]
    exact = int((data.assay.bounds[data.split.test, 0] == 0).sum())
    assert scores["rmse"].rows == exact
    assert scores["bounds_kept"].rows == len(data.split.test) - exact
    assert_sound(found, tmp_path)


def test_bounds_alone_give_an_honest_undefined(tmp_path: Path, encoder: Path) -> None:
    found, _ = fitted(tmp_path, encoder, {"value": [f">{v:.2f}" for v in numbers()]})
    assert found.evaluation.verdict == "blend: the validation rmse is undefined, so nothing could choose"
    assert found.evaluation.scores["test"]["blend"].tasks["value"]["rmse"].value is None
    assert found.history[0][-1]["note"] == "validation score undefined; the last epoch is kept"
    assert_sound(found, tmp_path)


@pytest.mark.parametrize("label", ["0", "1"])
def test_one_class_only_gives_an_honest_undefined(tmp_path: Path, encoder: Path, label: str) -> None:
    heard = Heard()
    found, _ = fitted(tmp_path, encoder, {"active": [label] * ROWS}, heard)
    assert found.evaluation.verdict.endswith("is undefined, so nothing could choose")
    assert any(f"labels are class {label}" in line for line in heard.lines)
    assert found.evaluation.scores["test"]["blend"].mean["roc_auc"].value is None
    assert found.evaluation.scores["test"]["forest"].tasks["active"]["brier"].value == 0.0
    assert_sound(found, tmp_path)


def test_one_class_in_the_training_part_is_no_crash(tmp_path: Path, encoder: Path) -> None:
    labels = ["0"] * 32 + ["0", "1"] * 8
    found, _ = fitted(
        tmp_path,
        encoder,
        {"active": labels, "set": ["train"] * 32 + ["valid"] * 8 + ["test"] * 8},
        split="set",
    )
    assert found.evaluation.scores["test"]["forest"].mean["roc_auc"].value == 0.5
    assert_sound(found, tmp_path)


def test_rare_actives_are_selected_by_pr_auc_and_try_both_losses(tmp_path: Path, encoder: Path) -> None:
    labels = ["1" if row % 8 == 0 else "0" for row in range(ROWS)]
    heard = Heard()
    found, _ = fitted(tmp_path, encoder, {"active": labels}, heard, split="stratified")
    assert any(line.startswith("loss ") and "validation pr_auc: focal" in line for line in heard.lines)
    plan = found.model.about.facts["plan"]
    assert plan["select"] == "pr_auc"
    assert {path.stem for path in (tmp_path / "run").iterdir()} == {"network-0-focal", "network-0-bce"}
    assert f"loss {plan['loss']} is used" in "\n".join(heard.lines)


def test_without_a_test_part_there_are_scores_on_validation(tmp_path: Path, encoder: Path) -> None:
    found, _ = fitted(tmp_path, encoder, {"active": classes()}, split_sizes=(0.8, 0.2, 0.0))
    assert set(found.evaluation.scores) == {"valid"}


def test_a_gaussian_process_reads_the_encoder_as_it_was(tmp_path: Path, encoder: Path) -> None:
    heard = Heard()
    found, data = fitted(tmp_path, encoder, {"active": classes()}, heard)
    process, train = found.model.process, data.split.train
    assert process is not None and process.reader is not None
    assert (
        f"gaussian process: on descriptors and the encoder's vectors of {len(train)} molecules" in heard.lines
    )
    start, _ = load_encoder_files(encoder)
    for name, tensor in process.reader.encoder.state_dict().items():
        assert torch.equal(tensor, start.state_dict()[name])
    assert list(found.evaluation.scores["test"]) == ["network", "forest", "gp", "blend"]
    assert_sound(found, tmp_path)


def test_without_an_encoder_the_process_reads_descriptors(tmp_path: Path, encoder: Path) -> None:
    chosen, heard = small_options("none", target_columns=("active",), epochs=1), Heard()
    data = read(tmp_path, {"active": classes()}, chosen)
    start, _ = load_encoder_files(encoder)
    about, plan = plan_model(data, start, {}, chosen, heard)
    (tmp_path / "run").mkdir()
    found = fit(data, start, about, plan, tmp_path / "run", chosen, heard)
    assert found.model.process is not None
    assert (found.model.process.reader, len(found.model.process.groups)) == (None, 1)
    assert_sound(found, tmp_path)


def test_above_so_many_molecules_there_is_no_process(
    tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molft.use.fitting.MOST", 20)
    heard = Heard()
    found, _ = fitted(tmp_path, encoder, {"active": classes()}, heard)
    assert found.model.process is None
    assert "gaussian process: left out above 20 training molecules" in heard.lines
    assert list(found.evaluation.scores["test"]) == ["network", "forest", "blend"]


def test_labels_of_the_test_part_have_no_say(tmp_path: Path, encoder: Path) -> None:
    parts = ["train"] * 32 + ["valid"] * 8 + ["test"] * 8
    honest = classes()
    flipped = honest[:40] + [str(1 - int(label)) for label in honest[40:]]
    models = []
    for name, labels in (("a", honest), ("b", flipped)):
        (tmp_path / name).mkdir()
        found, _ = fitted(tmp_path / name, encoder, {"active": labels, "set": parts}, split="set")
        models.append(found)
        found.model.save(tmp_path / name / "model")
    first, second = models
    assert first.evaluation.verdict == second.evaluation.verdict
    assert replace(first.model.about, facts={}) == replace(second.model.about, facts={})
    assert first.history == [
        [e | {"seconds": f["seconds"]} for e, f in zip(a, b, strict=True)]
        for a, b in zip(second.history, first.history, strict=True)
    ]
    for name in ("model.safetensors", "forest.safetensors", "gp.safetensors"):
        assert (tmp_path / "a" / "model" / name).read_bytes() == (
            tmp_path / "b" / "model" / name
        ).read_bytes()
    changed = first.evaluation.scores["test"]["forest"].mean["brier"].value
    assert changed != second.evaluation.scores["test"]["forest"].mean["brier"].value


def test_where_a_fit_starts(tmp_path: Path, encoder: Path) -> None:
    start, card = start_encoder(small_options(encoder))
    assert card == {"about": "random weights, seed 1"}
    expected, _ = load_encoder_files(encoder)
    for name, tensor in start.state_dict().items():
        assert torch.equal(tensor, expected.state_dict()[name])
    fresh, card = start_encoder(small_options("none", seed=1))
    again, _ = start_encoder(small_options("none", seed=1))
    assert card == {} and fresh.config.scheme == "ogb"
    for one, two in zip(fresh.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(MolftError, match="no encoder there"):
        start_encoder(small_options(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["0", "1"] * 24, {"strategy": "thawed"}, "strategy 'thawed' is unknown"),
        (["0", "1"] * 24, {"loss": "hinge"}, "loss 'hinge' is unknown"),
        ([f"{v:.2f}" for v in numbers()], {"loss": "focal"}, "loss 'focal' is for classes"),
        (["0", "1"] * 24, {"batch_size": 0}, "batch size is 0"),
        ([""] * 16 + ["0", "1"] * 16, {"split": "set", "parts": 16}, "training molecule"),
    ],
)
def test_what_can_not_be_fitted_is_refused(
    tmp_path: Path, encoder: Path, labels: list[str], options: dict[str, object], message: str
) -> None:
    columns = {"active": labels}
    if options.pop("parts", 0):
        columns["set"] = ["train"] * 17 + ["valid"] * 15 + ["test"] * 16
    with pytest.raises(MolftError, match=message):
        fitted(tmp_path, encoder, columns, **options)


def test_molecules_prepared_without_the_forest_are_refused(tmp_path: Path, encoder: Path) -> None:
    data = read(tmp_path, {"active": classes()}, small_options(encoder))
    with pytest.raises(MolftError, match=r"prepared without the forest's features \(Recipe.forest\)"):
        forest_features(replace(data.block, counts=None))
