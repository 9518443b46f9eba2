"""Masking and context targets on one core: on the whole batch, against molecule by molecule with networkx.

    python -m tests.benchmarks.targets [FILE] [MOLECULES]

FILE is a list of SMILES (default: the example library in data/). The slow form follows the description of
Hu, Liu et al. (ICLR 2020): make a networkx graph of the molecule, search breadth-first from a random root
to 5, 4 and 7 bonds, cut the two subgraphs out, renumber their atoms and turn them into tensors; draw the
masked atoms and copy the rest. Both forms start from molecules in memory, as each needs them, and end with
tensors.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np
import torch

from molft.chem.features import SNAP
from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare
from molft.data.batch import Batch, make_batch
from molft.data.formats import read_blocks
from molft.data.table import find_smiles_column
from molft.train.objectives.context import extract
from molft.train.objectives.masking import MaskedAtoms, choose_atoms
from molft.train.objectives.subgraphs import draw_roots

EXAMPLE = Path(__file__).parents[2] / "data" / "example_library.smi"
BATCH = 256
RADIUS, INNER, OUTER = 5, 4, 7


def read_graphs(path: Path, molecules: int) -> Graphs:
    """Packed graphs of the first molecules, repeated where the file is short."""
    strings: list[str] = []
    column = None
    for frame in read_blocks(path):
        column = column or find_smiles_column(frame)[0]
        strings += frame[column].tolist()
        if len(strings) >= molecules:
            break
    graphs = prepare(strings[:molecules], Recipe(scheme="snap", standardize=False)).graphs
    return graphs.take(np.arange(molecules) % len(graphs))


def batches(graphs: Graphs) -> Iterator[Graphs]:
    """Pieces of 256 molecules."""
    for start in range(0, len(graphs), BATCH):
        yield graphs.take(np.arange(start, min(start + BATCH, len(graphs))))


def on_batches(graphs: Graphs, generator: torch.Generator) -> int:
    """Masks and contexts of all molecules; how many had a context."""
    masks = MaskedAtoms(1, SNAP.atom_sizes, SNAP.mask_atom)
    usable = 0
    for piece in batches(graphs):
        batch = make_batch(piece)
        hidden = choose_atoms(batch.graph, batch.size, generator)
        masks.hide(batch.atoms, hidden)
        usable += extract(batch, draw_roots(batch.graph, batch.size, generator), RADIUS).inner.size
    return usable


def one_by_one(molecules: list[Batch]) -> int:
    """The same by networkx, from molecules that are tensors already."""
    usable = 0
    for one in molecules:
        mask(one.atoms)
        usable += cut(one.atoms, one.edge_index, one.bonds) is not None
    return usable


def mask(atoms: torch.Tensor) -> torch.Tensor:
    """A copy with floor(0.15 n + 1) random atoms masked."""
    out = atoms.clone()
    for atom in random.sample(range(len(atoms)), int(0.15 * len(atoms) + 1)):
        out[atom] = torch.tensor(SNAP.mask_atom)
    return out


def cut(atoms: torch.Tensor, edge_index: torch.Tensor, bonds: torch.Tensor) -> list[object] | None:
    """Tensors of neighbourhood and context around a random root, root and anchors; None without context."""
    graph = nx.Graph()
    for number, codes in enumerate(atoms.tolist()):
        graph.add_node(number, codes=codes)
    for (a, b), codes in zip(edge_index.T.tolist()[::2], bonds.tolist()[::2], strict=True):
        graph.add_edge(a, b, codes=codes)
    root = random.randrange(len(atoms))
    near, inside, wide = (
        set(nx.single_source_shortest_path_length(graph, root, cutoff)) for cutoff in (RADIUS, INNER, OUTER)
    )
    around = wide - inside
    if not around:
        return None
    inner, outer = (renumber(graph.subgraph(part)) for part in (near, around))
    anchors = torch.tensor([outer[1][atom] for atom in near & around])
    return [to_tensors(inner[0]), to_tensors(outer[0]), inner[1][root], anchors]


def renumber(graph: nx.Graph) -> tuple[nx.Graph, dict[int, int]]:
    """The graph with atoms 0, 1, 2, ..., and which old number became which."""
    numbers = {old: new for new, old in enumerate(graph.nodes)}
    return nx.relabel_nodes(graph, numbers), numbers


def to_tensors(graph: nx.Graph) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Atom codes, directed bonds and bond codes of a networkx graph."""
    atoms = torch.tensor([codes for _, codes in graph.nodes(data="codes")])
    ends, codes = [], []
    for a, b, code in graph.edges(data="codes"):
        ends += [(a, b), (b, a)]
        codes += [code, code]
    return atoms, torch.tensor(ends).view(-1, 2).T, torch.tensor(codes).view(-1, 2)


def main() -> None:
    """Print both rates and their ratio."""
    torch.set_num_threads(1)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE
    graphs = read_graphs(path, int(sys.argv[2]) if len(sys.argv) > 2 else 4096)
    print(f"{len(graphs)} molecules of {path.name}, {len(graphs.atoms) / len(graphs):.1f} atoms in the mean")
    generator = torch.Generator().manual_seed(0)
    on_batches(graphs, generator)
    rates = []
    few = [make_batch(graphs.take([row])) for row in range(min(len(graphs), 1024))]
    for name, work, data in (
        ("whole batch", lambda part: on_batches(part, generator), graphs),
        ("networkx, one by one", one_by_one, few),
    ):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            usable = work(data)
            times.append(time.perf_counter() - start)
        rates.append(len(data) / min(times))
        print(f"{name:22} {rates[-1]:10,.0f} molecules/s ({usable / len(data):.1%} with a context)")
    print(f"ratio {rates[0] / rates[1]:.0f}")


if __name__ == "__main__":
    main()
