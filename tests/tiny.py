"""Molecules small enough to check by hand, with SNAP codes: carbon 5, oxygen 7; bond 0 single, 1 double."""

import numpy as np
import torch

from molft.data.batch import Batch

# Atoms, and bonds as (begin, end, type).
ETHANOL = ([5, 5, 7], [(0, 1, 0), (1, 2, 0)])
CYCLOPROPENE = ([5, 5, 5], [(0, 1, 1), (1, 2, 0), (2, 0, 0)])
METHANE = ([5], [])
NOTHING = ([], [])

Molecule = tuple[list[int], list[tuple[int, int, int]]]


def batch_of(*molecules: Molecule) -> Batch:
    """One batch of molecules, every second code 0."""
    atoms, bonds, ends, graph = [], [], [], []
    for number, (codes, links) in enumerate(molecules):
        start = len(atoms)
        atoms += [(code, 0) for code in codes]
        graph += [number] * len(codes)
        for i, j, kind in links:
            ends += [(start + i, start + j), (start + j, start + i)]
            bonds += [(kind, 0)] * 2
    return Batch(
        torch.tensor(atoms, dtype=torch.int64).view(-1, 2),
        torch.tensor(bonds, dtype=torch.int64).view(-1, 2),
        torch.tensor(ends, dtype=torch.int64).view(-1, 2).T.contiguous(),
        torch.tensor(graph, dtype=torch.int64),
        len(molecules),
    )


def random_batch(seed: int, molecules: int = 8, mean_atoms: int = 26) -> Batch:
    """Tree-like molecules with about three rings each, of random SNAP codes; the sizes of drugs.

    Rings and directions are drawn, so it is chemistry in size only.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(molecules):
        n = int(rng.integers(max(2, mean_atoms - 11), mean_atoms + 12))
        links = {(int(rng.integers(max(0, i - 3), i)), i) for i in range(1, n)}
        closing = np.sort(rng.integers(0, n, (3, 2)), axis=1)
        links |= {(int(i), int(j)) for i, j in closing if i != j}
        drawn.append(([0] * n, [(i, j, 0) for i, j in sorted(links)]))
    batch = batch_of(*drawn)
    n, b = len(batch.atoms), len(batch.bonds) // 2
    atoms = np.stack([rng.integers(0, 118, n), rng.integers(0, 3, n)], axis=1)
    bonds = np.stack([rng.integers(0, 4, b), rng.integers(0, 3, b)], axis=1)
    return batch._replace(atoms=torch.from_numpy(atoms), bonds=torch.from_numpy(np.repeat(bonds, 2, axis=0)))
