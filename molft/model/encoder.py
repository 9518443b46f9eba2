"""The graph encoder of Hu et al. (ICLR 2020): atoms in, one vector for each atom out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.dropout import dropout_, relu_dropout_
from molft.model.environments import Environments, colour_rows, group_atoms, reduce_topology, refine
from molft.model.gat import GAT
from molft.model.gcn import GCN
from molft.model.gin import GIN
from molft.model.normalize import normalize
from molft.model.recompute import KEEPING, run_again
from molft.model.sage import SAGE
from molft.model.summary import Summary
from molft.model.tables import add_tables, stack_tables, stacked_rows
from molft.model.topology import GraphBatch, Topology, build_topology

CONVS: dict[str, Callable[..., nn.Module]] = {
    "gin": GIN,
    "gcn": GCN,
    "graphsage": SAGE,
    "gat": GAT,
}
# Layers whose output depends on nothing but the multiset of neighbours' states and bonds: not on the
# neighbours' degrees, as GCN's does, and needing no value for each pair, as GAT does.
SHARING = ("gin", "graphsage")


class Encoder(nn.Module):
    """Atom states by message passing; parameters carry the names of the released SNAP files.

    State 0 is the embedded atom, state l the output of layer l. Layers but the last end in ReLU and dropout,
    the last in dropout alone. ``dropout`` may be set between runs: it belongs to the training, not to the
    weights.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.dropout = config.dropout
        self.frozen = 0
        self.sharing = True
        self._keeping = KEEPING[0]
        add_tables(self, "x_embedding", config.atom_sizes, config.width)
        conv, more = CONVS[config.conv], (config.adapter,) if config.adapter else ()
        self.gnns = nn.ModuleList(conv(config.width, config.bond_sizes, *more) for _ in range(config.layers))
        self.batch_norms = nn.ModuleList(nn.BatchNorm1d(config.width) for _ in range(config.layers))
        self.summary = Summary(self.width, config.summary) if config.summary else None

    @property
    def width(self) -> int:
        """Width D of the output, :attr:`EncoderConfig.atom_width`."""
        return self.config.atom_width

    @property
    def bf16(self) -> bool:
        """Whether layers are computed in 16 bits (:mod:`molft.model.half`): for the run, not the weights."""
        return bool(getattr(self.gnns[0], "bf16", False))

    @bf16.setter
    def bf16(self, on: bool) -> None:
        if on and self.config.conv != "gin":
            raise MolftError(f"layers of {self.config.conv!r} can't be computed in 16 bits; only 'gin' can")
        for conv in self.gnns:
            conv.bf16 = on  # type: ignore[assignment]

    @property
    def keeping(self) -> str:
        """What layers keep for the backward pass: one of :data:`molft.model.recompute.KEEPING`."""
        return self._keeping

    @keeping.setter
    def keeping(self, what: str) -> None:
        if what not in KEEPING:
            raise MolftError(f"layers can't keep {what!r}; expected one of {', '.join(KEEPING)}")
        self._keeping = what
        for conv in self.gnns:
            conv.pieces = what == "pieces"  # type: ignore[assignment]

    def topology(self, batch: GraphBatch) -> Topology:
        """Neighbour lists and bond counts of a batch, for :meth:`run` and :meth:`forward`."""
        dtype = self.get_parameter("x_embedding1.weight").dtype
        return build_topology(batch, self.config.bond_sizes, self.config.loop_bond, dtype)

    def embed(self, batch: GraphBatch) -> Tensor:
        """State 0: the sum of the atom's table rows.

        Shapes: out [N, width]. A code outside its table is a :class:`MolftError`.
        """
        rows = stacked_rows(batch.atoms, self.config.atom_sizes, "atom")
        return F.embedding_bag(rows, self.atom_table(), mode="sum")

    def atom_table(self) -> Tensor:
        """The stacked atom tables.

        Shapes: out [sum(atom_sizes), width].
        """
        return stack_tables(self, "x_embedding", self.config.atom_sizes)

    def step(
        self, layer: int, states: Tensor, topology: Topology, environments: Environments | None = None
    ) -> Tensor:
        """:meth:`layer`, with what :attr:`keeping` says kept for the backward pass.

        Shapes: states [N, width], out [N, width].
        """
        if self.keeping == "all" or not torch.is_grad_enabled():
            return self.layer(layer, states, topology, environments)
        return run_again(self.layer, self.batch_norms[layer], layer, states, topology, environments)

    def layer(
        self, layer: int, states: Tensor, topology: Topology, environments: Environments | None = None
    ) -> Tensor:
        """State ``layer + 1`` from state ``layer``.

        Given environments, rows stand for them; where the layer drops out, the result has a row for each
        atom.

        Shapes: states [N, width], out [N, width].
        """
        norm = cast(nn.BatchNorm1d, self.batch_norms[layer])
        counts = None if environments is None else environments.counts
        out = normalize(norm, self.gnns[layer](states, topology), counts)
        rate = self.rate(layer)
        if rate and environments is not None:
            out = environments.expand(out)
        last = layer == self.config.layers - 1
        return dropout_(out, rate) if last else relu_dropout_(out, rate)

    def rate(self, layer: int) -> float:
        """Dropout rate of a layer now: 0 in eval mode."""
        return self.dropout if self.gnns[layer].training else 0.0

    def share(self, batch: GraphBatch, topology: Topology, count: int) -> list[Tensor]:
        """First states of :meth:`run`, computed once for each environment: ``count``, or up to a dropout.

        Shapes: each [N, width].
        """
        rows = stacked_rows(batch.atoms, self.config.atom_sizes, "atom")
        colours, bonds = colour_rows(rows), colour_rows(topology.rows)
        before = group_atoms(colours)
        states = F.embedding_bag(rows.index_select(0, before.atoms), self.atom_table(), mode="sum")
        out = self._add([], before.expand(states))
        for layer in range(count - 1):
            colours = refine(colours, bonds, topology)
            after = group_atoms(colours)
            states = self.step(layer, states, reduce_topology(topology, before, after), after)
            if self.rate(layer):
                return self._add(out, states)
            out = self._add(out, after.expand(states))
            before = after
        return out

    def run(
        self,
        batch: GraphBatch,
        states: Sequence[Tensor] | None = None,
        topology: Topology | None = None,
        count: int | None = None,
    ) -> list[Tensor]:
        """States 0 to ``layers`` of all atoms, or the first ``count`` of them.

        Given the first ones (the cached output of a frozen part), only the others are computed.

        Shapes: each [N, width].
        """
        topology, count = topology or self.topology(batch), count or self.config.layers + 1
        if states:
            out = list(states)
        elif self.sharing and self.config.conv in SHARING and batch.atoms.device.type == "cpu":
            out = self.share(batch, topology, count)
        else:
            out = [self.embed(batch)]
        if out[0].shape[0] != topology.atoms or len(out) > self.config.layers + 1:
            raise MolftError(
                f"got {len(out)} states of {out[0].shape[0]} atoms for {topology.atoms} atoms and an encoder "
                f"of {self.config.layers} layers; cached states must be of the same batch and encoder"
            )
        for layer in range(len(out) - 1, count - 1):
            out = self._add(out, self.step(layer, out[-1], topology))
        return out

    def _add(self, states: list[Tensor], last: Tensor) -> list[Tensor]:
        """The states with one more; where layers keep little, it also stands for those that nobody reads."""
        if self.keeping != "all" and self.config.jk == "last":
            return [last] * (len(states) + 1)
        return [*states, last]

    def combine(self, states: Sequence[Tensor]) -> Tensor:
        """One vector for each atom from the states of :meth:`run`.

        Shapes: states (layers + 1) times [N, width], out [N, D].
        """
        if self.config.jk == "last":
            return states[-1].float() if self.bf16 else states[-1]
        if self.bf16:
            states = [state.float() for state in states]
        if self.config.jk == "concat":
            return torch.cat(list(states), dim=1)
        stacked = torch.stack(list(states))
        return stacked.amax(dim=0) if self.config.jk == "max" else stacked.sum(dim=0)

    def summarize(self, pooled: Tensor) -> Tensor:
        """The pre-trained molecule vector, with dropout in training; without one a :class:`MolftError`.

        Shapes: pooled [B, 2 D] (:class:`molft.model.readout.MeanAndSum`), out [B, S].
        """
        if self.summary is None:
            raise MolftError("this encoder has no summary of molecules; take another readout, as mean")
        out: Tensor = self.summary(pooled)
        return F.dropout(out, self.dropout, self.summary.training)

    def forward(self, batch: GraphBatch, topology: Topology | None = None) -> Tensor:
        """Final vector of each atom.

        Shapes: out [N, D].
        """
        return self.combine(self.run(batch, topology=topology))

    def freeze(self, states: int) -> None:
        """Fix what makes the first ``states`` states: 0 nothing, 1 the atom tables, ``layers + 1`` all.

        The summary is fixed with the last of them.

        The frozen part has no gradient and stays in eval mode (running statistics, no dropout) whatever
        ``train()`` says, so its states don't change between epochs and may be cached. A later call may
        free it.
        """
        if not 0 <= states <= self.config.layers + 1:
            raise MolftError(f"can't freeze {states} states; expected 0 to {self.config.layers + 1}")
        self.frozen = states
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(stage_of(name, self.config.layers) >= states)
        self.train(self.training)

    def train(self, mode: bool = True) -> Encoder:
        """Training mode for all but the frozen layers."""
        super().train(mode)
        for layer in range(self.frozen - 1):
            self.gnns[layer].eval()
            self.batch_norms[layer].eval()
        if self.summary is not None and self.frozen > self.config.layers:
            self.summary.eval()
        return self


def stage_of(name: str, layers: int) -> int:
    """State that an encoder's parameter helps to make first; the summary counts with the last.

    >>> stage_of("x_embedding1.weight", 5), stage_of("gnns.0.mlp.0.bias", 5), stage_of("summary.norm.bias", 5)
    (0, 1, 5)
    """
    parts = name.split(".")
    if parts[0] == "summary":
        return layers
    return int(parts[1]) + 1 if parts[0] in ("gnns", "batch_norms") else 0
