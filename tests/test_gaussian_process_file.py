"""A Gaussian process on disk, alone and in a model's folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molft.errors import MolftError
from molft.files import sha256
from molft.model.network import build_reader
from molft.model.weights import read_tensors, write_tensors
from molft.train.encoders import new_encoder
from molft.train.loop import predict
from molft.use.encoders import load_encoder
from molft.use.gaussian_process import GaussianProcess, fit_process
from molft.use.gaussian_process_file import load_process, save_process
from molft.use.model import CONFIG, PROCESS, Model, load
from tests.series import block_of, has_halogen, pyridines
from tests.small import small_model

BLOCK = block_of(pyridines(30), forest=True)
LABELS = has_halogen(pyridines(30))[:, None]


def make_process(read: bool = True, task_type: str = "classification") -> GaussianProcess:
    """On thirty pyridines, with an encoder of random weights if it is to ``read``."""
    torch.manual_seed(3)
    reader = build_reader(new_encoder("snap", layers=2, width=16)).eval() if read else None
    vectors = None if reader is None else predict(reader, BLOCK.graphs)
    assert BLOCK.descriptors is not None
    process = fit_process(BLOCK.descriptors, vectors, LABELS, task_type, ["halogen"])  # type: ignore[arg-type]
    return replace(process, reader=reader)


@pytest.fixture(scope="module")
def process() -> GaussianProcess:
    return make_process()


@pytest.fixture
def path(process: GaussianProcess, tmp_path: Path) -> Path:
    save_process(process, tmp_path / PROCESS)
    return tmp_path / PROCESS


def rewrite(path: Path, header: dict[str, Any] | None = None, **arrays: np.ndarray | None) -> None:
    tensors, known = read_tensors(path, sha256(path))
    for name, array in arrays.items():
        if array is None:
            del tensors[name]
        else:
            tensors[name] = torch.from_numpy(array)
    write_tensors(path, tensors, known | (header or {}))


@pytest.mark.parametrize("read", [True, False])
def test_it_comes_back_whole(read: bool, tmp_path: Path) -> None:
    process = make_process(read)
    digest = save_process(process, tmp_path / "one")
    assert digest == save_process(process, tmp_path / "two") == sha256(tmp_path / "one")
    again = load_process(tmp_path / "one", digest)
    assert (again.task_type, again.tasks, again.groups) == ("classification", ("halogen",), process.groups)
    assert (again.reader is None) == (not read)
    vectors = None if again.reader is None else predict(again.reader, BLOCK.graphs)
    assert BLOCK.descriptors is not None
    found = again.predict(BLOCK.descriptors, vectors)
    assert found.tobytes() == process.predict(BLOCK.descriptors, vectors).tobytes()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"header": {"format": "molft-gaussian-process-9"}}, "molft-gaussian-process-9"),
        ({"header": {"descriptors": "others"}}, "descriptors is 'others'"),
        ({"header": {"groups": [3, 4]}}, "don't fit each other"),
        ({"header": {"groups": None}}, "not a Gaussian process"),
        ({"header": {"tasks": ["a", "b"]}}, "don't fit each other"),
        ({"header": {"encoder": {"conv": "transformer"}}}, "transformer"),
        ({"rows": None}, "not a Gaussian process"),
        ({"weights": np.zeros((30, 1), np.float32)}, "not a Gaussian process"),
        ({"weights": np.zeros((29, 1))}, "don't fit each other"),
        ({"lengths": np.zeros((2, 1))}, "don't fit each other"),
        ({"offsets": np.zeros(3)}, "don't fit each other"),
    ],
)
def test_what_is_no_process_is_refused(path: Path, changes: dict[str, Any], told: str) -> None:
    rewrite(path, **changes)
    with pytest.raises(MolftError, match=told):
        load_process(path, sha256(path))


@pytest.fixture
def model(process: GaussianProcess) -> Model:
    return replace(small_model(), process=process)


def test_the_blend_is_the_mean_of_all_three(model: Model) -> None:
    found = model.answers(BLOCK, every=True)
    assert list(found) == ["network", "forest", "gp", "blend"]
    expected = np.mean([found["network"], found["forest"], found["gp"]], axis=0)
    np.testing.assert_array_equal(found["blend"], expected)
    np.testing.assert_array_equal(model.answer(BLOCK), expected)
    assert list(model.answers(BLOCK, spread=True)) == ["network", "spread", "forest", "gp", "blend"]
    two = replace(model, process=None).answers(BLOCK, every=True)
    np.testing.assert_array_equal(two["blend"], (found["network"] + found["forest"]) / 2)
    # The encoder beside the networks changes nothing in them.
    np.testing.assert_array_equal(two["network"], found["network"])


def test_a_process_that_answers_alone_asks_no_other(model: Model) -> None:
    alone = replace(model, about=replace(model.about, answer="gp"), forest=None)
    assert list(alone.answers(BLOCK)) == ["gp"]
    np.testing.assert_array_equal(alone.answer(BLOCK), model.answers(BLOCK, every=True)["gp"])
    with pytest.raises(MolftError, match="needs its gp, which is missing"):
        replace(alone, process=None).answer(BLOCK)


def test_a_model_keeps_its_process(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = load(tmp_path)
    texts = [*pyridines(5), "xyz", "CCO"]
    assert again.predict(texts).equals(model.predict(texts))
    assert json.loads((tmp_path / CONFIG).read_text())["format"] == "molft-model-2"
    assert len(load_encoder(tmp_path).embed(["CCO"])) == 1
    (tmp_path / PROCESS).unlink()
    with pytest.raises(MolftError, match=PROCESS):
        load(tmp_path)


def test_a_process_that_was_taken_out_of_the_description_is_missed(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    del config["sha256"][PROCESS]
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(MolftError, match="format molft-model-2 doesn't agree with its files"):
        load(tmp_path)


def test_no_molecules_have_no_answers(model: Model) -> None:
    assert model.predict(["xyz"])["status"].tolist() == ["parse: not a SMILES: 'xyz'"]
    assert model.predict([]).empty
