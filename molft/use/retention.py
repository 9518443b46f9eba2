"""What the fine-tuned networks of a model have kept of their pre-training, measured and told."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from molft.chem.prepare import Recipe
from molft.model.encoder import Encoder
from molft.model.network import Network
from molft.train.forgetting import MUCH, reference_molecules, retention
from molft.train.loop import PREDICTED
from molft.use.encoders import MoleculeEncoder
from molft.use.options import Reporter


def measure_retention(
    start: Encoder, tuned: Sequence[Encoder], scheme: str, rows: int = PREDICTED
) -> list[float]:
    """:func:`molft.train.forgetting.retention` of encoders that were fine-tuned from ``start``.

    Empty where RDKit came without the reference molecules.
    """
    graphs = reference_molecules(scheme)
    if graphs is None:
        return []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = Encoder(start.config)
    before, floor, *after = (
        MoleculeEncoder(encoder, Recipe(scheme=scheme), {}, rows).vectors(graphs)
        for encoder in (start, untrained, *tuned)
    )
    return [round(retention(before, vectors, floor), 3) for vectors in after]


def tell_retention(
    start: Encoder, networks: Sequence[Network], scheme: str, reporter: Reporter, rows: int = PREDICTED
) -> dict[str, list[float]]:
    """Measure, tell, and warn where much is forgotten; the numbers by their name for the model's facts.

    ``rows`` molecules go through the encoders at a time.
    """
    found = measure_retention(start, [network.encoder for network in networks], scheme, rows)
    if not found:
        return {}
    listed = ", ".join(f"{share:.0%}" for share in found)
    reporter.line(f"of what pre-training had added to the encoder, {listed} is left")
    if min(found) < MUCH:
        reporter.line(
            f"warning: fine-tuning overwrote most of the pre-training ({min(found):.0%} is left); if the "
            "forest does better, try --strategy gradual, lora or l2-sp"
        )
    return {"retention": found}
