"""What benchmarks keep for judging, from the real files."""

from pathlib import Path

import pytest

from molft.chem.leakage import prepare_unseen
from molft.chem.prepare import Recipe
from molft.data.benchmark_leakage import benchmark_molecules
from molft.data.moleculenet import load, published_split
from molft.errors import MolftError


def test_validation_and_test_molecules_are_found_and_most_others_are_not(real_data: Path) -> None:
    heard: list[str] = []
    names = ("bace", "freesolv")
    held_out = benchmark_molecules(
        names, real_data, lambda done, total, name: heard.append(f"{done}/{total} {name}")
    )
    assert heard == ["0/2 bace", "1/2 freesolv"]
    recipe = Recipe(scheme="snap", standardize=False, keys=True)
    for name in names:
        benchmark = load(name, real_data)
        split = published_split(benchmark)
        shares = [
            prepare_unseen([benchmark.smiles[row] for row in part.tolist()], recipe, held_out).known.mean()
            for part in split
        ]
        assert shares[1:] == [1.0, 1.0]
        assert shares[0] < 0.05  # stereoisomers of a test molecule


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(MolftError, match="'qm9' is no MoleculeNet set"):
        benchmark_molecules(["qm9"])
