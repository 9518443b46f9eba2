"""Running a network over packed graphs: prediction, and the cached output of a frozen part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molft.chem.graphs import Graphs
from molft.data.batch import Batch, make_batch
from molft.model.config import EncoderConfig
from molft.model.inference import (
    FoldedEncoder,
    Surroundings,
    find_surroundings,
    fold,
    folds,
    read_molecules,
    recurs,
    summarize,
)
from molft.model.network import Network
from molft.model.readout import MeanAndSum, Sum
from molft.model.recurring import KEPT_BYTES, Recurring

CACHE_BYTES = 2**30
"""What the kept states of a frozen part may take."""
PREDICTED = 2048
"""Molecules that are predicted at a time."""
RECALLED = 1024
"""The same where states are kept from block to block: more would take memory, and hardly find more."""


def predict(network: Network, graphs: Graphs, batch_size: int = PREDICTED) -> NDArray[np.float32]:
    """Raw outputs (logits or standardised values) of all molecules in eval mode, float32 [B, T]."""
    return predict_each([network], graphs, batch_size)[0]


@torch.no_grad()
def predict_each(
    networks: Sequence[Network],
    graphs: Graphs,
    batch_size: int = PREDICTED,
    folded: Sequence[FoldedEncoder | None] | None = None,
    recurring: Recurring | None = None,
) -> list[NDArray[np.float32]]:
    """:func:`predict` of several networks on the same molecules.

    On a CPU, networks that can be folded (:func:`molft.model.inference.folds`) are, and those of equal shape
    share the search for equal surroundings. ``folded`` is what :func:`fold_each` made of the networks, and
    ``recurring`` what :func:`keep_recurring` made of that, for a caller who asks often and trains them no
    more.
    """
    readers = fold_each(networks) if folded is None else folded
    recurring = recurring if recurring and recurring.is_for(readers) else None
    parts: list[list[NDArray[np.float32]]] = [[] for _ in networks]
    for rows in np.array_split(np.arange(len(graphs)), max(1, -(-len(graphs) // batch_size))):
        batch = make_batch(graphs.take(rows))
        found: Found = {}
        for network, reader, part in zip(networks, readers, parts, strict=True):
            part.append(run_batch(network, reader, batch, found, recurring).cpu().numpy())
        if recurring:
            recurring.publish(layer for surroundings in found.values() for layer in surroundings.recalled)
    return [np.concatenate(part) for part in parts]


Found = dict[tuple[EncoderConfig, bool], Surroundings]
"""Surroundings of a batch, for encoders of a config whose states are kept or not."""


def run_batch(
    network: Network,
    reader: FoldedEncoder | None,
    batch: Batch,
    found: Found,
    recurring: Recurring | None = None,
) -> Tensor:
    """Outputs of a network, of its folded encoder if it has one; ``found`` keeps what others can share."""
    if reader is None:
        out: Tensor = network(batch.to(next(network.parameters()).device))
        return out
    kept = recurring.states_of(reader) if recurring else None
    alike = reader.config, kept is not None
    if alike not in found:
        found[alike] = find_surroundings(batch, reader.config, None if kept is None else recurring)
    pooled = read_molecules(reader, found[alike], cast(Sum, network.pool), kept)
    vectors = summarize(reader, pooled) if isinstance(network.pool, MeanAndSum) else pooled
    out = network.head(network.describe(pooled) if vectors is None else vectors)
    return out


def fold_each(networks: Sequence[Network], half: bool = False) -> list[FoldedEncoder | None]:
    """The networks' encoders folded, None where that can't be or doesn't pay; all are set to eval mode.

    With ``half`` their layers are computed in 16 bits (:func:`molft.model.inference.fold`).
    """
    return [_fold(network.eval(), half) for network in networks]


def keep_recurring(folded: Iterable[FoldedEncoder | None], size: int = KEPT_BYTES) -> Recurring | None:
    """Room of ``size`` bytes for states that recur from call to call; None where none can be kept.

    For the first of the encoders for which that holds (:func:`molft.model.inference.recurs`), and those of
    its config.
    """
    able = [encoder for encoder in folded if encoder is not None and recurs(encoder)]
    alike = [encoder for encoder in able if encoder.config == able[0].config]
    return Recurring(alike, alike[0].config.width, size) if alike else None


def _fold(network: Network, half: bool) -> FoldedEncoder | None:
    on_cpu = next(network.parameters()).device.type == "cpu"
    return fold(network.encoder, half) if on_cpu and folds(network.encoder, network.pool) else None


@dataclass
class FrozenStates:
    """What a frozen part of the encoder makes of every molecule, computed once.

    ``summary`` [B, D] holds the molecule vectors when nothing below the head is trained; else ``states``
    holds the atom states [N, width] that the first trainable part starts from.
    """

    summary: Tensor | None
    states: list[Tensor]
    atom_ptr: NDArray[np.int64]

    def of_atoms(self, rows: NDArray[np.int64]) -> list[Tensor]:
        """The cached states of the atoms of some molecules, in the order of ``Graphs.take(rows)``."""
        spans = [np.arange(self.atom_ptr[row], self.atom_ptr[row + 1]) for row in rows]
        index = torch.from_numpy(np.concatenate(spans)) if spans else torch.zeros(0, dtype=torch.int64)
        # The same tensor may stand in several places (see freeze_states): gather it once.
        gathered = {id(state): state[index] for state in self.states}
        return [gathered[id(state)] for state in self.states]


@torch.no_grad()
def freeze_states(
    network: Network, graphs: Graphs, batch_size: int = 256, most_bytes: int = CACHE_BYTES
) -> FrozenStates | None:
    """Run the frozen part of the network's encoder over all molecules.

    None when nothing is frozen, or when the states would take over ``most_bytes`` (1 GB): then the frozen
    layers are run for every batch, to the same result.
    """
    encoder = network.encoder
    frozen, layers = encoder.frozen, encoder.config.layers
    if frozen == 0:
        return None
    # A readout with weights of its own (attention, Set2Set) is trained, so its output can't be kept.
    whole = frozen == layers + 1 and not list(network.pool.parameters())
    # With jk="last" only the topmost frozen state is ever read again.
    kept = 1 if encoder.config.jk == "last" else frozen
    if not whole and kept * len(graphs.atoms) * encoder.config.width * 4 > most_bytes:
        return None
    device = next(network.parameters()).device
    summaries, states = [], []
    for rows in np.array_split(np.arange(len(graphs)), max(1, -(-len(graphs) // batch_size))):
        batch = make_batch(graphs.take(rows)).to(device)
        prefix = encoder.run(batch, count=frozen)
        if whole:
            summaries.append(network.represent(prefix, batch))
        else:
            states.append(prefix[-kept:])
    if whole:
        return FrozenStates(torch.cat(summaries), [], graphs.atom_ptr)
    joined = [torch.cat(parts) for parts in zip(*states, strict=True)]
    return FrozenStates(None, [joined[0]] * (frozen - kept) + joined, graphs.atom_ptr)
