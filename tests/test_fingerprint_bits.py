"""Fragment bits as targets: folding, packing, and the score."""

import math

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molft.chem.descriptors import fingerprint_counts
from molft.train.objectives.fingerprints import BITS, FingerprintBits, fold, unfold
from tests.series import pyridines


def test_counts_are_folded_by_their_place_modulo_512() -> None:
    counts = np.zeros((2, 2048), np.uint8)
    counts[0, [3, 515, 1030, 2047]] = [1, 255, 2, 1]  # 3 and 515 fall together; 1030 is 6, 2047 is 511
    packed = fold(counts)
    assert packed.shape == (2, 64) and packed.dtype == np.uint8
    bits = unfold(packed)
    assert bits.dtype == np.float32
    assert np.flatnonzero(bits[0]).tolist() == [3, 6, 511]
    assert not bits[1].any()


def test_propane_sets_the_bits_of_its_four_fragments() -> None:
    bits = unfold(fold(fingerprint_counts([Chem.MolFromSmiles("CCC")])))
    assert np.flatnonzero(bits[0]).tolist() == sorted(bit % 512 for bit in (80, 294, 1057, 1344))


def test_folded_bits_are_those_of_rdkit_s_512_bit_fingerprint() -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    mols = [Chem.MolFromSmiles(smiles) for smiles in pyridines(60)]
    expected = np.stack([generator.GetFingerprintAsNumPy(mol) for mol in mols])
    assert np.array_equal(unfold(fold(fingerprint_counts(mols))), expected)


def test_no_molecule_folds_to_no_row() -> None:
    assert fold(np.zeros((0, 2048), np.uint8)).shape == (0, 64)
    assert unfold(np.zeros((0, 64), np.uint8)).shape == (0, 512)


@pytest.mark.parametrize("width", [2047, 1000])
def test_counts_that_do_not_fold_evenly_are_refused(width: int) -> None:
    with pytest.raises(ValueError, match="cannot reshape"):
        fold(np.zeros((1, width), np.uint8))


def answering(logit: float) -> FingerprintBits:
    """An objective whose head gives the same logit for every bit."""
    model = FingerprintBits(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.head.bias.fill_(logit)
    return model


def bits_of(*places: int) -> torch.Tensor:
    """One molecule's bits."""
    bits = torch.zeros(1, BITS)
    bits[0, list(places)] = 1
    return bits


def test_the_loss_is_cross_entropy_over_all_bits() -> None:
    loss, _ = answering(-2.0)(torch.zeros(1, 3), bits_of(1, 5))
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert loss.item() == pytest.approx((510 * right + 2 * wrong) / 512, rel=1e-5)


def test_the_score_is_the_share_of_set_bits_that_are_found() -> None:
    model = answering(-1.0)
    with torch.no_grad():
        model.head.bias[[1, 7]] = 1.0
    _, score = model(torch.zeros(1, 3), bits_of(1, 5, 9, 11))
    assert score.item() == 0.25


@pytest.mark.parametrize("logit", [-1.0, 1.0])
def test_a_molecule_without_bits_scores_zero(logit: float) -> None:
    _, score = answering(logit)(torch.zeros(1, 3), bits_of())
    assert score.item() == 0.0


def test_only_the_loss_teaches() -> None:
    torch.manual_seed(0)
    model = FingerprintBits(3)
    summary = torch.randn(4, 3, requires_grad=True)
    loss, score = model(summary, (torch.rand(4, BITS) < 0.1).float())
    assert not score.requires_grad
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert summary.grad.abs().sum() > 0


@pytest.mark.parametrize("bits", [511, 2048])
def test_targets_of_another_length_are_refused(bits: int) -> None:
    with pytest.raises(RuntimeError, match="size of tensor"):
        FingerprintBits(3)(torch.zeros(1, 3), torch.zeros(1, bits))
