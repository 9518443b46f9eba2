"""Vectors of whole libraries."""

import errno
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from tiny_model import save_model

from molft.errors import MolftError
from molft.use.embed import embed, write_npz
from molft.use.encoders import load_encoder

SMILES = ["C1CC", "CCO", "", "c1ccccc1", "CC(=O)O"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library.csv"
    path.write_text("".join(f"{cell}\n" for cell in ["e1,smiles", *(f"x,{text}" for text in SMILES)]))
    return path


def test_a_table_has_every_row_with_its_vector(tiny_model_dir: Path, library: Path) -> None:
    output = library.with_name("out.parquet")
    summary = embed(library, output, tiny_model_dir, workers=0, block_rows=2)
    assert summary[:4] == ("embedding", 5, 3, {"parse": 1, "text": 1})
    table = parquet.read_table(output)
    # The library has its own e1.
    expected_names = ["e1", "smiles", "status", "e0", "e1_predicted", *(f"e{n}" for n in range(2, 16))]
    assert table.column_names == expected_names
    assert table["smiles"].to_pylist() == SMILES
    assert [text == "ok" for text in table["status"].to_pylist()] == [False, True, False, True, True]
    vectors = np.stack([column.to_numpy() for column in table.columns[3:]], axis=1)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, load_encoder(tiny_model_dir).embed(SMILES), atol=1e-6)


def test_arrays_say_which_row_each_vector_is_of(tiny_model_dir: Path, library: Path) -> None:
    output = library.with_name("out.npz")
    embed(library, output, tiny_model_dir, workers=0, block_rows=2)
    with np.load(output) as arrays:
        assert arrays["rows"].tolist() == [1, 3, 4]
        assert arrays["refused_rows"].tolist() == [0, 2]
        assert arrays["reasons"].tolist()[1] == "text: empty"
        expected = load_encoder(tiny_model_dir).embed([SMILES[row] for row in (1, 3, 4)])
        np.testing.assert_allclose(arrays["vectors"], expected, atol=1e-6)
        assert arrays["vectors"].dtype == np.float32
    assert sorted(path.name for path in library.parent.iterdir()) == ["library.csv", "out.npz"]


def test_vectors_in_16_bits_are_off_by_rounding_and_are_another_run(
    tiny_model_dir: Path, library: Path
) -> None:
    outputs = {bits: library.with_name(f"{bits}.npz") for bits in ("float32", "bf16")}
    for bits, output in outputs.items():
        embed(library, output, tiny_model_dir, workers=0, precision=bits)
    fine, coarse = (np.load(output)["vectors"] for output in outputs.values())
    assert 0 < np.linalg.norm(coarse - fine) / np.linalg.norm(fine) < 0.02
    embed(library, library.with_name("out.npz"), tiny_model_dir, workers=0)
    assert library.with_name("out.npz").read_bytes() == outputs["float32"].read_bytes()


def test_16_bits_are_refused_where_they_can_not_be_had(library: Path, tmp_path: Path) -> None:
    encoder = save_model(tmp_path / "gat", "network", conv="gat")
    with pytest.raises(MolftError, match=r"--precision bf16 needs GIN layers .*; there are 'gat' layers"):
        embed(library, library.with_name("out.npz"), encoder, workers=0, precision="bf16")


def test_an_interrupted_run_goes_on_to_the_same_bytes(tiny_model_dir: Path, library: Path) -> None:
    whole, output = library.with_name("whole.npz"), library.with_name("out.npz")
    embed(library, whole, tiny_model_dir, workers=0, block_rows=2)

    def stop(_: str, rows: int, *rest: object) -> None:
        if rows == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(library, output, tiny_model_dir, workers=0, block_rows=2, progress=stop)
    assert embed(library, output, tiny_model_dir, workers=0, block_rows=2, resume=True).resumed == 4
    assert output.read_bytes() == whole.read_bytes()


def test_another_encoder_does_not_go_on(
    tiny_model_dir: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(library, library.with_name("out.npz"), tiny_model_dir, workers=0, block_rows=2, progress=stop)
    monkeypatch.setattr("molft.use.embed.sha256", lambda _: "f" * 64)
    with pytest.raises(MolftError, match=r'encoder was "\w+\.\.\.", now "f+\.\.\."'):
        embed(library, library.with_name("out.npz"), tiny_model_dir, workers=0, block_rows=2, resume=True)


@pytest.mark.parametrize("text", ["smiles\n", "smiles\nxyz\n"])
def test_no_molecule_gives_empty_arrays(tiny_model_dir: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    embed(tmp_path / "a.csv", tmp_path / "out.npz", tiny_model_dir, workers=0)
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["vectors"].shape == (0, 16) and arrays["rows"].tolist() == []
        assert len(arrays["refused_rows"]) == text.count("xyz")


def test_a_full_disk_leaves_no_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    table = pa.table({"status": ["ok"], "e0": pa.array([0.5], pa.float32())})
    write_npz(tmp_path / "fine.npz", [table], width=1)
    monkeypatch.setattr("molft.use.embed.shutil.copyfileobj", fail)
    with pytest.raises(MolftError, match=r"No space left"):
        write_npz(tmp_path / "out.npz", [table], width=1)
    assert [path.name for path in tmp_path.iterdir()] == ["fine.npz"]


def test_an_unknown_kind_of_file_is_refused(tiny_model_dir: Path, library: Path) -> None:
    with pytest.raises(MolftError, match=r"let the name end in .* \.npz"):
        embed(library, library.with_name("out.npy"), tiny_model_dir)
