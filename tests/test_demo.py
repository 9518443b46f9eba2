"""The demo's files come from RDKit's own package."""

from pathlib import Path

import pandas as pd
import pytest
from rdkit import RDConfig

from molft.errors import MolftError
from molft.use.demo import write_demo_files


def test_the_assay_is_the_one_that_rdkit_carries(tmp_path: Path) -> None:
    assay, library = write_demo_files(tmp_path / "demo")
    table = pd.read_csv(assay, dtype={"name": str})
    assert list(table.columns) == ["name", "smiles", "pIC50"]
    assert len(table) == 1017 and table["pIC50"].notna().all()
    first = table.set_index("name").loc["1520012"]
    assert first["smiles"].startswith("O=S(=O)(Nc1cccs1)") and first["pIC50"] == 5.48
    assert len(library.read_text().splitlines()) >= 4999


def test_an_rdkit_without_the_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RDConfig, "RDContribDir", str(tmp_path))
    with pytest.raises(MolftError, match="comes without the demo's data"):
        write_demo_files(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
