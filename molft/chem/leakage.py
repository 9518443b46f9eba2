"""Molecules that a benchmark keeps for judging, and how to find them in a corpus.

Two molecules are the same here if a fragment of one has the first block of the InChI key of a fragment of
the other: the same skeleton and formula, whatever stereo, isotopes, salt or (mostly) tautomer. That removes
more than the canonical SMILES would, and it is what Hu, Liu et al. (ICLR 2020) compare by.

An InChI costs a millisecond. A hash of the bare skeleton, made from the packed graphs, costs next to
nothing, and molecules of one InChI have one skeleton: so only those are looked at whose skeleton is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem.inchi import MolToInchiKey

from molft.chem.features import SNAP, featurize
from molft.chem.graphs import Graphs
from molft.chem.prepare import Block, Recipe, prepare
from molft.chem.smiles import parse

_BLOCK_LETTERS = 14
# InChI takes bonds to metals apart, so their skeletons say nothing. Here bonds are never taken apart.
_ORDINARY = np.isin(np.arange(256) + 1, (5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53))
_ROUNDS = 3
_STEP, _FIRST, _SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class HeldOut:
    """Molecules not to train on.

    ``keys``: first blocks of the InChI keys of all their fragments. Shapes: skeletons uint64 [S], rising,
    hashes of the fragments' skeletons.
    """

    keys: frozenset[str]
    skeletons: NDArray[np.uint64]


@dataclass(frozen=True)
class Screened:
    """A prepared block, and which of its molecules are held out. Shapes: known bool [B]."""

    block: Block
    known: NDArray[np.bool_]


def hold_out(smiles: Sequence[str]) -> HeldOut:
    """What to remember of the molecules that are to be kept out; a fragment without InChI is passed over."""
    keys: set[str] = set()
    pieces: list[Chem.Mol] = []
    for text in smiles:
        mol = parse(text)
        if not isinstance(mol, Chem.Mol):
            continue
        fragments = list(Chem.GetMolFrags(mol, asMols=True))
        keys |= {fragment_key(fragment) for fragment in fragments}
        pieces += fragments
    graphs, _, _ = featurize(pieces, SNAP)
    return HeldOut(frozenset(keys - {""}), np.unique(skeletons(graphs)))


def fragment_key(mol: Chem.Mol) -> str:
    """First block of the InChI key, or "" where InChI can't be made.

    >>> [fragment_key(Chem.MolFromSmiles(text)) for text in ("C[C@H](N)C(=O)O", "CC(N)C(=O)[O-]")]
    ['QNAYBMKLOCPYGJ', 'QNAYBMKLOCPYGJ']
    """
    with rdBase.BlockLogs():
        return str(MolToInchiKey(mol, options="-SNon"))[:_BLOCK_LETTERS]


def prepare_unseen(
    smiles: Sequence[str], recipe: Recipe, held_out: HeldOut | None, lost: Mapping[int, str] | None = None
) -> Screened:
    """:func:`molft.chem.prepare.prepare`, and which of the accepted molecules are held out.

    A molecule that could be held out but has no InChI counts as held out. ``recipe.keys`` must be on.
    """
    block = prepare(smiles, recipe, lost)
    known = np.zeros(len(block.graphs), bool)
    if held_out is None:
        return Screened(block, known)
    doubtful = np.isin(skeletons(block.graphs), held_out.skeletons) | _unusual(block)
    for row in np.flatnonzero(doubtful).tolist():
        mol = Chem.MolFromSmiles(block.keys[row])
        fragments = Chem.GetMolFrags(mol, asMols=True) if mol is not None else ()
        found = {fragment_key(fragment) for fragment in fragments}
        known[row] = not found or "" in found or not held_out.keys.isdisjoint(found)
    return Screened(block, known)


def _unusual(block: Block) -> NDArray[np.bool_]:
    """Molecules of several fragments, or with elements beyond the ordinary ones (explicit hydrogens too)."""
    odd = np.flatnonzero(~_ORDINARY[block.graphs.atoms[:, 0]])
    out = np.array(["." in key for key in block.keys], bool)
    out[np.searchsorted(block.graphs.atom_ptr, odd, side="right") - 1] = True
    return out


def skeletons(graphs: Graphs) -> NDArray[np.uint64]:
    """A hash of each molecule's atoms (elements alone) and bonds (without their order).

    Colours are refined over three bonds (Weisfeiler and Leman), enough to tell most molecules apart.
    Shapes: out uint64 [B].
    """
    counts, bonds = np.diff(graphs.atom_ptr), np.diff(graphs.bond_ptr)
    ends = graphs.ends.astype(np.int64) + np.repeat(graphs.atom_ptr[:-1], bonds)[:, None]
    receivers, senders = np.concatenate([ends, ends[:, ::-1]]).T
    order = np.argsort(receivers, kind="stable")
    receivers, senders = receivers[order], senders[order]
    colours = _scramble(graphs.atoms[:, 0].astype(np.uint64))
    for _ in range(_ROUNDS):
        colours = _scramble(colours) + _sums(_scramble(colours + _STEP)[senders], receivers, len(colours))
    return _sums(_scramble(colours), np.repeat(np.arange(len(counts)), counts), len(counts))


def _sums(values: NDArray[np.uint64], group: NDArray[np.int64], size: int) -> NDArray[np.uint64]:
    """Sum of each group modulo 2^64. Shapes: values [X], group [X], rising; out [size]."""
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values, dtype=np.uint64)])
    edges = np.searchsorted(group, np.arange(size + 1))
    return total[edges[1:]] - total[edges[:-1]]


def _scramble(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each number (splitmix64; Steele et al., OOPSLA 2014)."""
    numbers = (numbers + _STEP) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _SECOND
    return numbers ^ (numbers >> np.uint64(31))
