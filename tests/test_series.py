"""Series: molecules that a chemist would call relatives have one name."""

import pytest

from molft.chem.prepare import Recipe
from molft.chem.smiles import Limits
from molft.use.series import name_series


@pytest.mark.parametrize(
    ("smiles", "series"),
    [
        ("Cc1ccccc1CCl", "c1ccccc1"),
        ("OC(=O)c1ccccc1", "c1ccccc1"),
        ("[Na+].[O-]C(=O)c1ccccc1", "c1ccccc1"),
        ("C[C@H](O)c1ccncc1", "c1ccncc1"),
        ("c1ccccc1Cc1ccncc1", "c1ccc(Cc2ccncc2)cc1"),
        ("C(C)O", "CCO"),
        ("C[C@H](N)C(=O)O", "CC(N)C(=O)O"),
        ("nonsense", "nonsense"),
    ],
)
def test_scaffold_or_itself(smiles: str, series: str) -> None:
    assert name_series(smiles, Recipe()) == series


def test_molecules_are_read_as_the_model_reads_them() -> None:
    salt = "c1ccccc1.C1CC1"
    assert name_series(salt, Recipe()) == "c1ccccc1"
    assert set(name_series(salt, Recipe(standardize=False)).split(".")) == {"c1ccccc1", "C1CC1"}
    assert name_series("c1ccccc1", Recipe(limits=Limits(atoms=5))) == "c1ccccc1"


def test_enantiomers_are_one_series() -> None:
    assert name_series("C[C@H](N)C(=O)O", Recipe()) == name_series("C[C@@H](N)C(=O)O", Recipe())
