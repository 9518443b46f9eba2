"""Speed of a training step and of the sparse product inside it, against the edge-wise form.

    MOLFT_DATA=... python -m tests.benchmarks.train_step [THREADS, 2 by default]

Molecules drawn from ChEMBL. The sides take turns in one run, so that a busy machine slows all. Ratios are of
the fastest rounds; with one thread, of processor time, which other programs hardly disturb.

Measured on two cores of an AMD EPYC (Zen 4), torch 2.13, molecules/s in brackets. One thread, processor time:

- product (A + I) h + C T, 7,616 atoms, forward + backward: embedding_bag with symmetric backward 4.6 ms, with
  torch's backward 7.4, sparse CSR 9.2, index_add 13.5; hence the form in molft/model/topology.py;
- batch 256, dropout 0.5: edge-wise 1,420 ms, factorised 1,096, with shared environments 870: 1.63 x (294);
- batch 256, no dropout: 1,247, 1,147, 592 ms: 2.11 x (433);
- batch 1,024, no dropout: 8,737, 6,384, 2,187 ms: 4.00 x (468).

Two threads, wall time, otherwise idle: product 3.3, 4.3, 5.0, 12.6 ms;

- batch 256, dropout 0.5: 787 ms, 547, 443: 1.77 x by the fastest rounds, 2.05 x by the medians (578);
- batch 256, no dropout: 597, 541, 300: 1.99 x (853);
- batch 1,024, no dropout: 5,294, 3,730, 1,238: 4.28 x (827).

What is left is matrix products of the MLPs: 95 % of the factorised step, near the cores' peak.
"""

import lzma
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from molft.chem.features import SNAP, featurize
from molft.chem.smiles import parse
from molft.data.batch import Batch, make_batch
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.topology import Topology, aggregate
from tests.edgewise import EdgewiseEncoder

WIDTH = 300


def draw_batch(molecules: int) -> Batch:
    """Random molecules of ChEMBL, the same in every run."""
    if "MOLFT_DATA" not in os.environ:
        sys.exit("set MOLFT_DATA to the folder that holds corpora/")
    path = Path(os.environ["MOLFT_DATA"]) / "corpora" / "chembl.smi.xz"
    with lzma.open(path, "rt") as lines:
        drawn = random.Random(0).sample([line.split()[0] for line in lines], 2 * molecules)
    graphs, _, _ = featurize([mol for mol in map(parse, drawn) if mol], SNAP)
    return make_batch(graphs.take(range(molecules)))


def take_turns(tasks: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Fastest time of each task in ms, the tasks run in turn; prints a line for each."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(rounds):
        for name, task in tasks.items():
            start = clock()
            task()
            times[name].append(1e3 * (clock() - start))
    for name, taken in times.items():
        print(f"  {name:44s} {min(taken):8.1f} ms fastest {sorted(taken)[rounds // 2]:8.1f} ms median")
    return {name: min(taken) for name, taken in times.items()}


def product_forms(topology: Topology, edge_index: Tensor) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """The forms of (A + I) h + C T that were compared."""
    starts = torch.cat([topology.starts, torch.tensor([len(topology.neighbours)], dtype=torch.int32)])
    ones = torch.ones(len(topology.neighbours))
    size = (topology.atoms, topology.atoms)
    matrix = torch.sparse_csr_tensor(starts, topology.neighbours, ones, size)
    neighbours, begins = topology.neighbours.long(), topology.starts.long()

    def bag(h: Tensor, t: Tensor) -> Tensor:
        return torch.addmm(F.embedding_bag(neighbours, h, begins, mode="sum"), topology.counts, t)

    return {
        "embedding_bag, symmetric backward (used)": lambda h, t: aggregate(h, t, topology),
        "embedding_bag, torch's backward": bag,
        "sparse CSR, torch's backward": lambda h, t: torch.addmm(matrix @ h, topology.counts, t),
        "index_add": lambda h, t: torch.addmm(h, topology.counts, t).index_add(
            0, edge_index[0], h[edge_index[1]]
        ),
    }


def compare_forms(batch: Batch, rounds: int) -> None:
    """Forward and backward of one sparse product."""
    topology = Encoder(EncoderConfig(layers=1, width=WIDTH)).topology(batch)
    h = torch.randn(topology.atoms, WIDTH, requires_grad=True)
    t = torch.randn(9, WIDTH, requires_grad=True)
    grad = torch.randn(topology.atoms, WIDTH)
    bonds = batch.edge_index.shape[1]
    print(f"(A + I) h + C T, {topology.atoms} atoms, {bonds} directed bonds, forward + backward:")

    def run(form: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], None]:
        def once() -> None:
            h.grad = t.grad = None
            form(h, t).backward(grad)

        return once

    take_turns({name: run(form) for name, form in product_forms(topology, batch.edge_index).items()}, rounds)


def compare_steps(batch: Batch, dropout: float, rounds: int) -> None:
    """Forward, backward and Adam of GIN 5 x 300."""
    shared = Encoder(EncoderConfig(width=WIDTH, dropout=dropout))
    plain = Encoder(shared.config)
    plain.sharing = False
    narrow = Encoder(shared.config)
    narrow.bf16 = True
    edgewise = EdgewiseEncoder(Encoder(shared.config))

    def run(model: torch.nn.Module) -> Callable[[], None]:
        optimiser = torch.optim.Adam(model.parameters(), 1e-3, fused=model is not edgewise)

        def once() -> None:
            optimiser.zero_grad()
            model(batch).square().mean().backward()
            optimiser.step()

        return once

    atoms = len(batch.atoms)
    print(f"training step, GIN 5 x {WIDTH}, {batch.size} molecules, {atoms} atoms, dropout {dropout}:")
    sides: dict[str, torch.nn.Module] = {
        "factorised, environments shared, 16 bits": narrow,
        "factorised, environments shared": shared,
        "factorised": plain,
        "edge-wise, F.dropout": edgewise,
    }
    times = take_turns({name: run(model) for name, model in sides.items()}, rounds)
    slow = times["edge-wise, F.dropout"]
    for name in list(sides)[:3]:
        print(f"  {name}: {slow / times[name]:.2f} x, {1e3 * batch.size / times[name]:.0f} molecules/s")


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    torch.manual_seed(0)
    small, large = draw_batch(256), draw_batch(1024)
    compare_forms(small, rounds=20)
    compare_steps(small, dropout=0.5, rounds=6)
    compare_steps(small, dropout=0.0, rounds=6)
    compare_steps(large, dropout=0.0, rounds=3)
