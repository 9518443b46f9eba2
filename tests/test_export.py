"""Networks as ONNX files: what onnxruntime says of them is what molft says."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from molft.chem.prepare import prepare
from molft.cli import app
from molft.data.batch import Batch, make_batch
from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.use import export
from molft.use.export import export_onnx, run_onnx
from molft.use.model import Model, build_network, load
from tests.small import small_model
from tests.tiny import METHANE, NOTHING, batch_of

EXTRA = "needs the extra onnx: pip install 'molft[onnx]'"
for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=EXTRA)


def graph_attention_model() -> Model:
    """Values of two tasks by one GAT network of two layers."""
    model = small_model("regression", "network", ("logD", "pKa"), members=1)
    encoder = EncoderConfig(conv="gat", layers=2, width=8, jk="concat")
    about = replace(model.about, encoder=encoder, centre=(2.0, 8.0), scale=(1.5, 0.5))
    torch.manual_seed(3)
    return replace(model, about=about, networks=[build_network(about).eval()])


@pytest.fixture(scope="module", params=["gin", "gat"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model's folder and its file: classes by two GIN networks, or values by one GAT network."""
    folder = tmp_path_factory.mktemp(request.param)
    model = small_model() if request.param == "gin" else graph_attention_model()
    model.save(folder / "model")
    done = CliRunner().invoke(app, ["export", str(folder / "model"), "-o", str(folder / "model.onnx")])
    assert done.exit_code == 0, done.output
    told, rest = {
        "gin": (
            "output probabilities, the mean of 2 networks; within",
            ". The model answers by its blend, of",
        ),
        "gat": ("output values, one network; within", "of the model's on a few molecules\n"),
    }[request.param]
    assert told in done.output and rest in done.output
    return folder / "model", folder / "model.onnx"


def check(exported: tuple[Path, Path], batch: Batch, expected: np.ndarray) -> None:
    np.testing.assert_allclose(run_onnx(exported[1], batch), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "smiles",
    [
        ["C"],
        ["[Na+]", "O"],
        ["CCO"],
        ["c1ccncc1F", "C", "F/C=C/F", "CC(=O)Oc1ccccc1C(=O)O"],
        # Two fragments that are one molecule (a metal complex is left as it is written), between others.
        ["CCO", "[Pt+2].[Cl-].[Cl-]", "C[Fe].c1ccccc1", "C1CC1"],
    ],
)
def test_single_atoms_molecules_and_fragments(exported: tuple[Path, Path], smiles: list[str]) -> None:
    model = load(exported[0])
    block = prepare(smiles, model.recipe)
    assert len(block.graphs) == len(smiles)
    batch = make_batch(block.graphs)
    check(exported, batch, model.network_values(block.graphs))


def pad(batch: Batch, atoms: int, bonds: int) -> Batch:
    """The same molecules and one more, of carbons that are bonded to themselves."""
    more, extra = atoms - len(batch.atoms), bonds - len(batch.bonds)
    last = len(batch.atoms)
    return Batch(
        torch.cat([batch.atoms, batch.atoms.new_tensor([[5, 0]]).expand(more, 2)]),
        torch.cat([batch.bonds, batch.bonds.new_zeros(extra, 2)]),
        torch.cat([batch.edge_index, torch.full((2, extra), last)], dim=1),
        torch.cat([batch.graph, torch.full((more,), batch.size)]),
        batch.size + 1,
    )


def test_padding_changes_no_molecule(exported: tuple[Path, Path]) -> None:
    model = load(exported[0])
    graphs = prepare(["CCO", "c1ccccc1"], model.recipe).graphs
    batch = pad(make_batch(graphs), 64, 128)
    assert batch.atoms.shape == (64, 2) and batch.edge_index.shape == (2, 128)
    out = run_onnx(exported[1], batch)
    assert out.shape == (3, len(model.about.tasks))
    np.testing.assert_allclose(out[:2], model.network_values(graphs), rtol=1e-5, atol=1e-5)


def test_a_molecule_without_atoms_keeps_its_place(exported: tuple[Path, Path]) -> None:
    out = run_onnx(exported[1], batch_of(METHANE, NOTHING, METHANE))
    assert len(out) == 3 and np.array_equal(out[0], out[2]) and not np.array_equal(out[0], out[1])


def test_a_code_outside_its_table_is_an_error_and_not_a_number(exported: tuple[Path, Path]) -> None:
    with pytest.raises(Exception, match=r"(?i)out of (data )?bounds|out of range"):
        run_onnx(exported[1], batch_of(([500], [])))


def test_the_file_says_what_it_is(exported: tuple[Path, Path]) -> None:
    import onnx

    file, about = onnx.load(exported[1]), load(exported[0]).about
    onnx.checker.check_model(file)
    facts = {entry.key: entry.value for entry in file.metadata_props}
    assert json.loads(facts["tasks"]) == list(about.tasks)
    assert (facts["features"], facts["standardize"]) == ("snap", "molft-1")
    assert int(facts["networks"]) == about.members
    assert [value.name for value in file.graph.input] == ["atoms", "bonds", "edge_index", "graph"]
    (output,) = file.graph.output
    assert output.name == ("probabilities" if about.task_type == "classification" else "values")
    assert output.type.tensor_type.shape.dim[0].dim_param == "B"


def test_a_file_that_answers_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_model().save(tmp_path / "model")
    program = SimpleNamespace(model=SimpleNamespace(metadata_props={}), save=lambda *_, **__: None)
    monkeypatch.setattr(export, "_trace", lambda *_: program)
    monkeypatch.setattr(export, "run_onnx", lambda path, batch: np.full((batch.size, 1), 2.0))
    with pytest.raises(MolftError, match=r"would answer otherwise than the model, by up to 1\.\d"):
        export_onnx(tmp_path / "model", tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_can_not_be_written_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MolftError, match=r"model.pt: let the name end in .onnx"):
        export_onnx(tmp_path, tmp_path / "model.pt")
    with pytest.raises(MolftError, match=r"is no molft model"):
        export_onnx(tmp_path, tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MolftError, match=r"onnxscript is missing; .* pip install 'molft\[onnx\]'"):
        export_onnx(tmp_path, tmp_path / "model.onnx")


def test_an_existing_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    done = CliRunner().invoke(app, ["export", str(tmp_path), "-o", str(tmp_path / "a.onnx")])
    assert done.exit_code == 1 and "--overwrite" in done.output
    assert (tmp_path / "a.onnx").read_text() == "mine"
