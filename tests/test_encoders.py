"""Encoders by name, and the vectors they give."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import MOLECULES, make_model

from molft.chem.prepare import Recipe, prepare
from molft.data.batch import make_batch
from molft.errors import MolftError
from molft.model.weights import save_encoder
from molft.train.encoders import new_encoder
from molft.use import encoders
from molft.use.encoders import find_encoder, load_encoder
from molft.use.model import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_encoder(new_encoder("ogb", layers=2, width=16), tmp_path / "encoder", {"corpus": "none"})
    return tmp_path / "encoder"


def test_a_vector_is_the_mean_of_the_final_atom_states(folder: Path) -> None:
    encoder, card = find_encoder(folder)
    assert card == {"corpus": "none"} and not encoder.training
    batch = make_batch(prepare(["CC(=O)O"], Recipe(scheme="ogb")).graphs)
    with torch.no_grad():
        states = encoder(batch).numpy()
    assert states.shape == (4, 16)
    np.testing.assert_allclose(load_encoder(folder).embed(["CC(=O)O"])[0], states.mean(axis=0), atol=1e-6)


def test_a_vector_depends_on_its_own_molecule_alone(folder: Path) -> None:
    encoder = load_encoder(folder)
    together = encoder.embed(["xyz", *MOLECULES, ""])
    assert together.dtype == np.float32 and together.shape == (len(MOLECULES) + 2, 16)
    assert np.isnan(together[[0, -1]]).all()
    alone = np.concatenate([encoder.embed([smiles]) for smiles in MOLECULES])
    np.testing.assert_allclose(together[1:-1], alone, atol=1e-6)


def test_a_model_folder_gives_its_first_networks_encoder(tiny_model_dir: Path) -> None:
    encoder, card = find_encoder(tiny_model_dir)
    for name, tensor in load(tiny_model_dir).networks[0].encoder.state_dict().items():
        assert torch.equal(tensor, encoder.state_dict()[name])
    assert card == {"tuned_on": ["active"], "data": {"file": "made by hand"}, "encoder": None}
    assert load_encoder(tiny_model_dir).recipe == make_model().about.recipe


def test_no_molecule_gives_no_vector(folder: Path) -> None:
    assert load_encoder(folder).embed([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "'none' is no encoder; give 'default'"),
        ("no/such/folder", "no encoder there"),
        ("default", "came without the pre-trained encoder"),
        ("small", "came without the pre-trained encoder"),
    ],
)
@pytest.mark.parametrize("ask", [find_encoder, load_encoder])
def test_what_is_no_encoder_is_refused(
    name: str, message: str, ask: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "_FOLDER", tmp_path)
    with pytest.raises(MolftError, match=message):
        ask(name)


def test_one_string_is_not_taken_for_a_list_of_letters(folder: Path) -> None:
    with pytest.raises(MolftError, match=r"for one molecule give \['CCO'\]"):
        load_encoder(folder).embed("CCO")
