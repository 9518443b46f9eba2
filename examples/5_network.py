"""Label the nodes of one large network from a few that are known: a .mat or .npz file, or a PyG graph.

    python examples/5_network.py [FILE]

Without a file: Zachary's karate club, 34 members in four groups, a third of them known.
"""

import sys

from molft.data.network import from_pyg
from molft.data.network_files import read_network
from molft.use.nodes import NodeOptions, finetune_nodes


def main(file: str | None = None) -> None:
    """Train, and show how well the others are told."""
    if file:
        network, options = read_network(file), NodeOptions(train_fraction=0.1, memory=4_000_000_000)
    else:
        from torch_geometric.datasets import KarateClub

        network = from_pyg(KarateClub()[0])
        options = NodeOptions(train_fraction=0.35, epochs=30, batch_size=8, layers=2)
    result = finetune_nodes(network, options)
    for answer, scores in result.record["test"].items():
        print(f"{answer}: accuracy {scores['accuracy']:.2f}, weighted F1 {scores['weighted_f1']:.2f}")
    print(f"probabilities: {result.probabilities.shape[0]} nodes x {result.probabilities.shape[1]} classes")


if __name__ == "__main__":
    main(*sys.argv[1:])
