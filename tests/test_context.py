"""Context prediction: which atoms belong to neighbourhood, context and anchors, and what a pair costs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from torch.nn import functional as F

from molft.chem.prepare import Recipe, prepare
from molft.chem.smiles import parse
from molft.data.batch import Batch, make_batch
from molft.data.formats import read_table
from molft.train.encoders import new_encoder
from molft.train.objectives.context import ContextPrediction, Contexts, contrast, extract
from molft.train.objectives.subgraphs import draw_roots
from tests.series import pyridines
from tests.tiny import METHANE, batch_of


def chain(length: int) -> tuple[list[int], list[tuple[int, int, int]]]:
    """An unbranched molecule whose atom codes are 0, 1, 2, ..."""
    return list(range(length)), [(i, i + 1, i % 4) for i in range(length - 1)]


def test_a_chain_from_its_end_by_hand() -> None:
    cut = extract(batch_of(chain(10)), torch.tensor([0]), radius=5)
    assert cut.inner.atoms[:, 0].tolist() == [0, 1, 2, 3, 4, 5]  # at most 5 bonds away
    assert cut.outer.atoms[:, 0].tolist() == [5, 6, 7]  # more than 4, at most 7
    assert (cut.roots.tolist(), cut.anchors.tolist(), cut.owners.tolist()) == ([0], [0], [0])
    assert cut.outer.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert cut.outer.bonds[:, 0].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(("length", "usable"), [(1, 0), (5, 0), (6, 1), (7, 1)])
def test_a_molecule_that_ends_too_soon_is_left_out(length: int, usable: int) -> None:
    cut = extract(batch_of(chain(length)), torch.tensor([0]), radius=5)
    assert (cut.inner.size, cut.outer.size, len(cut.roots)) == (usable, usable, usable)
    assert len(cut.inner.atoms) == usable * 6


def test_molecules_left_out_do_not_shift_the_others() -> None:
    cut = extract(batch_of(chain(8), METHANE, chain(6)), torch.tensor([1, 8, 14]), radius=5)
    assert cut.inner.atoms[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, *range(6)]
    assert cut.inner.graph.tolist() == [0] * 7 + [1] * 6
    assert (cut.roots.tolist(), cut.inner.size) == ([1, 12], 2)
    assert (cut.outer.atoms[:, 0].tolist(), cut.outer.graph.tolist()) == ([6, 7, 0], [0, 0, 1])
    assert (cut.anchors.tolist(), cut.owners.tolist()) == ([0, 2], [0, 1])


def brute_force(batch: Batch, roots: torch.Tensor, smiles: list[str]) -> list[tuple[set[int], ...]]:
    """Neighbourhood, context and anchors of each molecule by RDKit's distance matrix, empty ones left out."""
    out = []
    for row, text in enumerate(smiles):
        first = int((batch.graph < row).sum())
        away = Chem.GetDistanceMatrix(parse(text))[int(roots[row]) - first]
        sets = (away <= 5, (away > 4) & (away <= 7), away == 5)
        if sets[1].any():
            out.append(tuple({int(i) + first for i in np.flatnonzero(part)} for part in sets))
    return out


def found(cut: Contexts) -> list[tuple[set[int], ...]]:
    """The same from the extraction; atoms carry their number as their second code."""
    inner, outer = cut.inner, cut.outer
    return [
        (
            set(inner.atoms[inner.graph == row, 1].tolist()),
            set(outer.atoms[outer.graph == row, 1].tolist()),
            set(outer.atoms[cut.anchors[cut.owners == row], 1].tolist()),
        )
        for row in range(inner.size)
    ]


def check(smiles: list[str]) -> None:
    """Sets, roots and bonds of all molecules are those of the distance matrix."""
    batch = make_batch(prepare(smiles, Recipe(scheme="snap", standardize=False)).graphs)
    assert batch.size == len(smiles)
    numbered = torch.stack([batch.atoms[:, 0], torch.arange(len(batch.atoms))], dim=1)
    batch = batch._replace(atoms=numbered)
    roots = draw_roots(batch.graph, batch.size, torch.Generator().manual_seed(1))
    cut = extract(batch, roots, radius=5)
    expected = brute_force(batch, roots, smiles)
    assert found(cut) == expected
    assert set(cut.inner.atoms[cut.roots, 1].tolist()) <= set(roots.tolist())
    bonds = {(int(a), int(b)) for a, b in batch.edge_index.T}
    for part, place in ((cut.inner, 0), (cut.outer, 1)):
        inside = {pair for sets in expected for pair in bonds if set(pair) <= sets[place]}
        assert {(int(a), int(b)) for a, b in part.atoms[:, 1][part.edge_index].T} == inside


def test_small_molecules_against_the_distance_matrix() -> None:
    check(pyridines(40))


def test_a_thousand_real_molecules_against_the_distance_matrix(real_data: Path) -> None:
    table = read_table(real_data / "moleculenet" / "Lipophilicity.csv")
    smiles = table["smiles"].tolist()[:1000]
    for start in range(0, 1000, 50):
        check(smiles[start : start + 50])


INNER = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
ANCHORS = torch.tensor([[1.0, 1.0], [3.0, -1.0], [0.0, 1.0], [-1.0, 0.5]])
OWNERS = torch.tensor([0, 0, 1, 2])


def bce(values: list[float], target: float) -> float:
    return float(F.binary_cross_entropy_with_logits(torch.tensor(values), torch.full((len(values),), target)))


def test_cbow_on_three_molecules() -> None:
    # Contexts (2, 0), (0, 1), (-1, 0.5); false ones are the next molecule's.
    loss, right = contrast(INNER, ANCHORS, OWNERS, "cbow")
    assert loss.item() == pytest.approx(bce([2.0, 2.0, -0.5], 1.0) + bce([0.0, 1.0, 2.0], 0.0))
    assert right.item() == pytest.approx((2 / 3 + 0) / 2)


def test_skipgram_on_three_molecules() -> None:
    # Each anchor against its own neighbourhood, and against the next molecule's.
    loss, right = contrast(INNER, ANCHORS, OWNERS, "skipgram")
    assert loss.item() == pytest.approx(bce([1.0, 3.0, 2.0, -0.5], 1.0) + bce([2.0, -2.0, 1.0, -1.0], 0.0))
    assert right.item() == pytest.approx((3 / 4 + 2 / 4) / 2)


def test_with_one_molecule_the_false_pair_is_the_true_one() -> None:
    loss, _ = contrast(INNER[:1], ANCHORS[:2], OWNERS[:2], "cbow")
    assert loss.item() == pytest.approx(bce([2.0], 1.0) + bce([2.0], 0.0))


@pytest.mark.parametrize("mode", ["cbow", "skipgram"])
def test_both_encoders_learn(mode: str) -> None:
    torch.manual_seed(0)
    encoder = new_encoder("snap", layers=2, width=8)
    model = ContextPrediction(2, new_encoder("snap", layers=3, width=8), mode)
    loss, _ = model(encoder, batch_of(chain(9), chain(7)), torch.Generator().manual_seed(0))
    loss.backward()
    for part in (encoder, model):
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in part.parameters())


def test_a_batch_without_any_context_costs_nothing() -> None:
    model = ContextPrediction(2, new_encoder("snap", layers=3, width=8))
    loss, score = model(new_encoder("snap", layers=2, width=8), batch_of(METHANE, METHANE), torch.Generator())
    loss.backward()
    assert (loss.item(), score.item()) == (0.0, 0.0)
