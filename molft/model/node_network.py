"""A graph network for the nodes of one large graph.

Two encoders. ``propagation``: projected attributes averaged over as many hops as there are layers, without
weights between (Wu et al., SGC, ICML 2019). ``gin``: the convolutions of the molecular encoder, which may
bring their pre-trained weights; beside them run the propagated attributes, if ``skip`` says so.

Molecules have few bonds an atom, so that a sum over them stays small; a paper may have a hundred links. Here
a GIN layer sees the mean over a node and its neighbours, times the number of terms that the sum has in
molecules, which is what its weights know. Its batch normalisation always goes by the network's own
statistics, frozen or not.

Shapes: S sending and M receiving nodes of a hop, P pairs, F attributes, D width, C classes, K rows of the
stacked bond tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.attributes import AttributeProjection, SparseRows
from molft.model.config import read_fields
from molft.model.dropout import check_rate, relu_dropout_
from molft.model.encoder import Encoder
from molft.model.gin import GIN
from molft.model.normalize import normalize
from molft.model.tables import stack_tables

# Pairs (bonds and the atom with itself) of an atom in drug-like molecules, in the mean.
MOLECULAR_PAIRS = 3.15


@dataclass(frozen=True)
class NodeConfig:
    """Everything that determines a node network apart from its weights.

    ``normalise`` says how attributes are scaled first: ``rows`` to unit length, ``columns`` to mean 0 and
    variance 1, ``none``.
    """

    attributes: int = 1
    classes: int = 2
    encoder: str = "propagation"
    layers: int = 4
    width: int = 128
    skip: bool = True
    dropout: float = 0.5
    normalise: str = "rows"
    bond_sizes: tuple[int, ...] = (1,)
    loop_bond: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        """Refuse what no network can be made of."""
        for name, allowed in (
            ("encoder", ("propagation", "gin")),
            ("normalise", ("rows", "columns", "none")),
        ):
            if getattr(self, name) not in allowed:
                raise MolftError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(allowed)}")
        if min(self.attributes, self.classes, self.layers, self.width) < 1:
            raise MolftError("attributes, classes, layers and width must be at least 1")
        check_rate(self.dropout)

    @property
    def paths(self) -> int:
        """Number of states [S, D] that go from hop to hop."""
        return 2 if self.encoder == "gin" and self.skip else 1

    def to_json(self) -> dict[str, object]:
        """Plain values for a JSON file."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> NodeConfig:
        """Configuration from :meth:`to_json`; unknown keys and wrong types are a :class:`MolftError`."""
        return cls(**read_fields(values, {f.name: f.default for f in fields(cls)}, "node network"))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Pairs of one hop, receiver by receiver.

    Shapes: senders int32 [P], starts int32 [M], weights float32 [P], codes float32 [M, K] weights of each
    row of the stacked bond tables among a receiver's pairs (only for ``gin``).
    """

    senders: Tensor
    starts: Tensor
    weights: Tensor
    codes: Tensor | None = None

    def mean(self, states: Tensor) -> Tensor:
        """Weighted sum of the senders' states.

        Shapes: states [S, D], out [M, D].
        """
        return F.embedding_bag(self.senders, states, self.starts, mode="sum", per_sample_weights=self.weights)


class NodeNetwork(nn.Module):
    """Attributes to states, states hop by hop to the seeds, states to logits."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__()
        self.config = config
        self.project = AttributeProjection(config.attributes, config.width)
        layers = config.layers if config.encoder == "gin" else 0
        self.first_norm = nn.BatchNorm1d(config.width, eps=1e-8) if layers else nn.Identity()
        self.gnns = nn.ModuleList(GIN(config.width, config.bond_sizes) for _ in range(layers))
        self.batch_norms = nn.ModuleList(nn.BatchNorm1d(config.width) for _ in range(layers))
        # A small eps: propagated unit rows have a variance of 1e-4 and less.
        self.norm = nn.BatchNorm1d(config.width * self.paths, eps=1e-8)
        self.head = nn.Linear(config.width * self.paths, config.classes)

    @property
    def paths(self) -> int:
        """Number of states [S, D] that go from hop to hop."""
        return self.config.paths

    def start(self, rows: SparseRows | Tensor) -> list[Tensor]:
        """States before the first hop.

        Shapes: rows [S, F], out :attr:`paths` times [S, D].
        """
        first = self.project(rows)
        if self.config.encoder == "propagation":
            return [first]
        molecular = normalize(cast(nn.BatchNorm1d, self.first_norm), first)
        return [molecular, first] if self.config.skip else [molecular]

    def step(self, layer: int, states: list[Tensor], hop: Neighbourhood) -> list[Tensor]:
        """States after a hop.

        Shapes: states [S, D] each, out [M, D] each.
        """
        if self.config.encoder == "propagation":
            return [hop.mean(states[0])]
        return [self._convolve(layer, states[0], hop), *(hop.mean(state) for state in states[1:])]

    def _convolve(self, layer: int, states: Tensor, hop: Neighbourhood) -> Tensor:
        conv = cast(GIN, self.gnns[layer])
        table = stack_tables(conv, "edge_embedding", conv.bond_sizes)
        total = (hop.mean(states) + cast(Tensor, hop.codes) @ table) * MOLECULAR_PAIRS
        out = normalize(cast(nn.BatchNorm1d, self.batch_norms[layer]), conv.mlp(total))
        return out if layer == self.config.layers - 1 else out.relu_()

    def finish(self, states: list[Tensor]) -> Tensor:
        """Logits.

        Shapes: states [M, D] each, out [M, C].
        """
        joined = normalize(self.norm, torch.cat(states, dim=1))
        out: Tensor = self.head(relu_dropout_(joined, self.config.dropout if self.training else 0.0))
        return out

    def forward(self, rows: SparseRows | Tensor, hops: list[Neighbourhood]) -> Tensor:
        """Logits of the receivers of the last hop.

        Shapes: rows [S, F] of the senders of the first hop, out [M, C].
        """
        if len(hops) != self.config.layers:
            raise MolftError(f"got {len(hops)} hops for {self.config.layers} layers; give one for each")
        states = self.start(rows)
        for layer, hop in enumerate(hops):
            states = self.step(layer, states, hop)
        return self.finish(states)

    def take_layers(self, encoder: Encoder, frozen: bool) -> None:
        """Copy the first convolutions of a molecular encoder; ``frozen`` ones keep their weights."""
        theirs = encoder.config
        if theirs.conv != "gin" or theirs.width != self.config.width or theirs.layers < self.config.layers:
            raise MolftError(
                f"the encoder has {theirs.layers} layers of {theirs.conv!r} of width {theirs.width}; "
                f"expected at least {self.config.layers} of 'gin' of width {self.config.width}"
            )
        for mine, his in ((self.gnns, encoder.gnns), (self.batch_norms, encoder.batch_norms)):
            for layer in range(self.config.layers):
                mine[layer].load_state_dict(his[layer].state_dict())
                mine[layer].requires_grad_(not frozen)
