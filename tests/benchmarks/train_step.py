"""Speed of a training step and of the sparse product inside it, against the edge-wise form.

    python -m tests.benchmarks.train_step

A batch of 256 molecule-sized graphs (about 6,700 atoms, 14,000 directed bonds), 2 threads; both sides take
turns in one run, so that a busy machine slows both.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from molft.model.encoder import Encoder, EncoderConfig
from molft.model.topology import Topology, aggregate
from tests.edgewise import EdgewiseEncoder
from tests.tiny import random_batch

THREADS = 2
WIDTH = 300


def take_turns(tasks: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Fastest and median time of each task in ms, the tasks run in turn; prints a line for each."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(1e3 * (time.perf_counter() - start))
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


def compare_forms(rounds: int) -> None:
    """Forward and backward of one sparse product."""
    batch = random_batch(seed=0, molecules=256)
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


def compare_steps(molecules: int, dropout: float, rounds: int) -> None:
    """Forward, backward and Adam of GIN 5 x 300, mean over atoms, one task."""
    batch = random_batch(seed=0, molecules=molecules)
    fast = Encoder(EncoderConfig(width=WIDTH, dropout=dropout))
    slow = EdgewiseEncoder(Encoder(fast.config))

    def run(model: torch.nn.Module) -> Callable[[], None]:
        optimiser = torch.optim.Adam(model.parameters(), 1e-3)

        def once() -> None:
            optimiser.zero_grad()
            model(batch).square().mean().backward()
            optimiser.step()

        return once

    print(f"training step, GIN 5 x {WIDTH}, {molecules} molecules, dropout {dropout}:")
    times = take_turns({"factorised": run(fast), "edge-wise, F.dropout": run(slow)}, rounds)
    ratio = times["edge-wise, F.dropout"] / times["factorised"]
    print(f"  ratio {ratio:.2f}; {1e3 * molecules / times['factorised']:.0f} molecules/s")


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    compare_forms(rounds=15)
    compare_steps(molecules=256, dropout=0.5, rounds=6)
    compare_steps(molecules=1024, dropout=0.0, rounds=3)
