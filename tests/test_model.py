"""A model folder: what comes back from it, what is refused, and that each row answers for itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem

from molft.chem.prepare import prepare
from molft.errors import MolftError
from molft.model.inference import fold
from molft.model.weights import save_encoder
from molft.train import loop
from molft.train.encoders import new_encoder
from molft.use.encoders import load_encoder
from molft.use.model import CONFIG, FOREST, WEIGHTS, About, Model, finish, load, squash
from tests.series import pyridines
from tests.small import ENCODER, small_model

MOLECULES = ["CCO", "c1ccccc1Cl", "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "F/C=C/F", "[Na+].CC(=O)[O-]"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> Model:
    return small_model()


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / CONFIG).read_text())
    edit(config)
    (folder / CONFIG).write_text(json.dumps(config))


def column(model: Model, smiles: list[str]) -> np.ndarray:
    return model.predict(smiles)["halogen"].to_numpy()


@pytest.mark.parametrize("task_type", ["classification", "regression"])
@pytest.mark.parametrize("answer", ["network", "forest", "blend"])
def test_a_saved_model_predicts_the_same_to_the_last_bit(task_type: str, answer: str, tmp_path: Path) -> None:
    model = small_model(task_type, answer)
    model.save(tmp_path)
    loaded = load(tmp_path)
    assert loaded.about == model.about
    assert loaded.directory == tmp_path
    assert column(loaded, pyridines(60)).tobytes() == column(model, pyridines(60)).tobytes()


def test_the_answer_is_what_it_says(model: Model) -> None:
    block = prepare(MOLECULES, model.recipe)
    found = model.answers(block, every=True)
    np.testing.assert_array_equal(model.answer(block), (found["network"] + found["forest"]) / 2)
    single = [Model(model.about, [n], None).network_values(block.graphs) for n in model.networks]
    np.testing.assert_allclose(found["network"], np.mean(single, axis=0), rtol=1e-12)
    assert list(small_model(answer="network").answers(block, every=True)) == ["network"]


def test_networks_are_folded_once_whatever_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(loop, "fold", lambda encoder, half: calls.append(encoder) or fold(encoder, half))
    model = small_model("classification", "network", members=2)
    first = column(model, MOLECULES[:3])
    assert column(model, MOLECULES[:3]).tobytes() == first.tobytes()
    assert calls == [network.encoder for network in model.networks]
    model.save(tmp_path)
    reader = load_encoder(tmp_path)
    assert reader.embed(MOLECULES).tobytes() == reader.embed(MOLECULES).tobytes()
    assert len(calls) == 3


def test_values_come_in_the_unit_of_the_labels() -> None:
    about = small_model("regression", "network").about
    assert finish(about, np.array([[0.0], [2.0]], np.float32)).tolist() == [[6.5], [9.5]]
    about = small_model("classification", "network").about
    assert finish(about, np.array([[0.0]], np.float32)).tolist() == [[0.5]]


def test_extreme_logits_stay_probabilities() -> None:
    values = squash(np.array([-1e30, -29.0, 0.0, 29.0, 1e30], np.float32))
    assert (0 < values).all() and (values < 1).all() and (np.diff(values) > 0).all()


@pytest.mark.parametrize("where", ["first", "middle", "last", "all"])
def test_every_row_keeps_its_place(model: Model, where: str) -> None:
    bad = {"first": [0], "middle": [2, 3], "last": [5], "all": range(6)}[where]
    texts = ["c1ccccc" if row in bad else text for row, text in enumerate(MOLECULES)]
    table = model.predict(texts)
    assert list(table.columns) == ["smiles", "status", "halogen"]
    assert table["smiles"].tolist() == texts
    good = [row for row in range(6) if row not in bad]
    np.testing.assert_array_equal(np.flatnonzero(table["status"] == "ok"), good)
    assert table["status"][list(bad)].str.startswith("parse: not a SMILES").all()
    np.testing.assert_array_equal(np.flatnonzero(table["halogen"].isna()), list(bad))
    np.testing.assert_allclose(table["halogen"][good], column(model, MOLECULES)[good], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", "text: empty"),
        (None, "text: empty"),
        (float("nan"), "text: empty"),
        ("CCО", "text: character 'О' (U+041E) is not ASCII"),
        ("C" * 6000, "text: 6000 characters, at most 5000 are read"),
        ("CC(C)(C)(C)C", "sanitise: Explicit valence for atom # 1 C, 5, is greater than permitted"),
        ("CCO ethanol", "text: blank or control character inside 'CCO ethanol'"),
    ],
)
def test_a_bad_row_is_told_and_harms_no_other(model: Model, text: Any, status: str) -> None:  # noqa: ANN401
    table = model.predict(["CCO", text, "CCN"])
    assert table["status"].tolist() == ["ok", status, "ok"]
    np.testing.assert_allclose(table["halogen"][[0, 2]], column(model, ["CCO", "CCN"]), atol=1e-6)


def test_no_row_gives_no_row(model: Model) -> None:
    table = model.predict([])
    assert list(table.columns) == ["smiles", "status", "halogen"] and len(table) == 0


def test_one_string_is_not_a_list(model: Model) -> None:
    with pytest.raises(MolftError, match=r"predict takes a list of SMILES.*\['CCO'\]"):
        model.predict("CCO")


@pytest.mark.parametrize("answer", ["network", "blend"])
def test_a_prediction_does_not_depend_on_its_neighbours(answer: str) -> None:
    model = small_model(answer=answer)
    smiles = MOLECULES + pyridines(300)  # more than one batch
    together = column(model, smiles)
    alone = np.concatenate([column(model, [text]) for text in smiles[:20]])
    np.testing.assert_allclose(alone, together[:20], atol=1e-6)
    order = np.random.default_rng(0).permutation(len(smiles))
    np.testing.assert_allclose(column(model, [smiles[i] for i in order]), together[order], atol=1e-6)
    doubled = column(model, [text for text in smiles for _ in range(2)])
    np.testing.assert_allclose(doubled[::2], together, atol=1e-6)


def test_a_prediction_does_not_depend_on_how_the_smiles_is_written(model: Model) -> None:
    rng = np.random.default_rng(1)
    for text in [*MOLECULES, "C[C@@H](O)[C@H](F)/C=C\\Cl", "O=C1[C@H]2CC[C@@H]1CC2"]:
        mol = Chem.MolFromSmiles(text)
        orders = [rng.permutation(mol.GetNumAtoms()).tolist() for _ in range(10)]
        written = [Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False) for order in orders]
        assert len({*written, text}) > 1
        np.testing.assert_allclose(column(model, written), column(model, [text])[0], atol=1e-6)


def test_a_salt_is_predicted_as_its_parent(model: Model) -> None:
    salt, parent = column(model, ["[Na+].CC(=O)[O-]", "CC(=O)O"])
    assert salt == pytest.approx(parent, abs=1e-6)


def test_a_task_called_like_another_column_keeps_a_name_of_its_own() -> None:
    table = small_model(answer="network", tasks=("status", "smiles")).predict(["CCO", "xyz"])
    assert list(table.columns) == ["smiles", "status", "status_predicted", "smiles_predicted"]
    assert table["status"].tolist() == ["ok", "parse: not a SMILES: 'xyz'"]


@pytest.mark.parametrize("name", [WEIGHTS, FOREST])
@pytest.mark.parametrize("damage", ["flipped bit", "cut", "empty", "missing"])
def test_a_damaged_file_is_refused(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"flipped bit": data, "cut": data[:-100], "empty": b""}[damage])
    with pytest.raises(MolftError, match=name):
        load(folder)


def test_a_forest_that_was_deleted_from_the_model_is_missed(folder: Path) -> None:
    change(folder, lambda config: config["sha256"].pop(FOREST))
    with pytest.raises(MolftError, match=r"needs its forest, which is missing; copy the whole folder"):
        load(folder).predict(["CCO"])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", '"molft-model-1"', "{}", '{"format": "molft-model-1"}']
)
def test_a_config_that_is_no_config_is_refused(folder: Path, text: str) -> None:
    (folder / CONFIG).write_text(text)
    with pytest.raises(MolftError, match=CONFIG):
        load(folder)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("tasks", None),
        ("tasks", []),
        ("tasks", "halogen"),
        ("tasks", ["a", "a"]),
        ("task_type", "ranking"),
        ("answer", "oracle"),
        ("recipe", None),
        ("recipe", {}),
        ("recipe", {"scheme": "rings", "standardize": None, "limits": {}}),
        ("recipe", {"scheme": "snap", "standardize": "molft-0", "limits": {}}),
        ("recipe", {"scheme": "snap", "standardize": None, "limits": {"bytes": 3}}),
        ("recipe", {"scheme": "ogb", "standardize": None, "limits": {}}),
        ("encoder", None),
        ("encoder", []),
        ("encoder", {"conv": "transformer"}),
        ("encoder", {"heads": 8}),
        ("readout", "median"),
        ("head", "tree"),
        ("members", 0),
        ("members", 3),
        ("members", "two"),
        ("centre", [0.0, 0.0]),
        ("scale", []),
        ("scale", ["1"]),
        ("thresholds", 0.5),
        ("facts", []),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(folder: Path, entry: str, value: Any) -> None:  # noqa: ANN401
    change(folder, lambda config: config["model"].update({entry: value}))
    with pytest.raises(MolftError):
        load(folder)


@pytest.mark.parametrize("entry", ["tasks", "answer", "recipe", "encoder", "members", "thresholds", "facts"])
def test_an_entry_that_is_missing_is_named(folder: Path, entry: str) -> None:
    change(folder, lambda config: config["model"].pop(entry))
    with pytest.raises(MolftError, match=entry):
        load(folder)


def test_another_format_is_refused_with_both_names(folder: Path) -> None:
    change(folder, lambda config: config.update(format="molft-model-0"))
    with pytest.raises(MolftError, match=r"'molft-model-0'.*molft-model-1"):
        load(folder)


def test_another_standardisation_is_refused_with_advice(folder: Path) -> None:
    change(folder, lambda config: config["model"]["recipe"].update(standardize="molft-0"))
    with pytest.raises(MolftError, match=r"standardisation molft-0.*use the molft version it was made with"):
        load(folder)


def test_a_folder_that_is_not_there_or_not_finished_is_told(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="there is no such folder"):
        load(tmp_path / "nothing")
    with pytest.raises(MolftError, match=r"unfinished run: go on with molft finetune --resume"):
        load(tmp_path)


def test_an_encoder_folder_is_no_model(tmp_path: Path) -> None:
    save_encoder(new_encoder("snap", layers=2, width=16), tmp_path, {})
    with pytest.raises(MolftError, match="format 'molft-encoder-1'; this molft reads molft-model-1"):
        load(tmp_path)


def test_saving_leaves_no_model_until_everything_is_there(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("molft.use.model.save_forest", full)
    with pytest.raises(OSError, match="No space"):
        model.save(tmp_path)
    assert not (tmp_path / CONFIG).exists()
    with pytest.raises(MolftError, match="unfinished"):
        load(tmp_path)


def test_about_survives_json() -> None:
    about = small_model(tasks=("a", "b"), answer="network", thresholds=(0.25, 0.75)).about
    assert About.from_json(json.loads(json.dumps(about.to_json()))) == about
    assert about.encoder == ENCODER
