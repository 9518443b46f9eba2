"""Encoder, readout and head in one."""

from __future__ import annotations

from torch import Tensor, nn

from molft.errors import MolftError
from molft.model.config import EncoderConfig, NetworkConfig
from molft.model.encoder import Encoder
from molft.model.heads import build_head
from molft.model.readout import MeanAndSum, build_readout
from molft.model.topology import GraphBatch, Topology


class Network(nn.Module):
    """``head(readout(encoder(batch)))``.

    Keys carry SNAP's prefixes ``gnn.``, ``pool.`` and ``graph_pred_linear.``.
    """

    def __init__(self, encoder: Encoder, readout: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.gnn = encoder
        self.pool = readout
        self.graph_pred_linear = head

    @property
    def encoder(self) -> Encoder:
        """The graph encoder."""
        return self.gnn

    @property
    def head(self) -> nn.Module:
        """The layers after the readout."""
        return self.graph_pred_linear

    def predict_from(self, states: list[Tensor], batch: GraphBatch) -> Tensor:
        """Outputs from the states of ``encoder.run``.

        Shapes: states (layers + 1) times [N, width], out [B, T].
        """
        out: Tensor = self.graph_pred_linear(self.represent(states, batch))
        return out

    def represent(self, states: list[Tensor], batch: GraphBatch) -> Tensor:
        """Molecule vectors from the states of ``encoder.run``.

        Shapes: states (layers + 1) times [N, width], out [B, D].
        """
        return self.describe(self.pool(self.gnn.combine(states), batch.graph, batch.size))

    def describe(self, pooled: Tensor) -> Tensor:
        """Molecule vectors from what the readout made of their atoms: by the encoder's summary, if it does.

        Shapes: pooled [B, P], out [B, D].
        """
        return self.gnn.summarize(pooled) if isinstance(self.pool, MeanAndSum) else pooled

    def forward(self, batch: GraphBatch, topology: Topology | None = None) -> Tensor:
        """Raw outputs: logits for classes, values for regression.

        Shapes: out [B, T].
        """
        return self.predict_from(self.gnn.run(batch, topology=topology), batch)


def build_network(encoder: Encoder, config: NetworkConfig) -> Network:
    """Network of an encoder with a fresh readout and head; bad options are a :class:`MolftError`."""
    readout = build_readout(config.readout, encoder.width)
    width = encoder.config.summary if isinstance(readout, MeanAndSum) else readout.width
    if not width:
        raise MolftError("the encoder was pre-trained without a summary; take another readout, as mean")
    head = build_head(config.head, width, config.tasks, config.hidden, config.dropout)
    return Network(encoder, readout, head)


def build_reader(encoder: Encoder) -> Network:
    """Network without a head: its outputs are the molecule vectors, by the readout that suits the encoder."""
    return Network(encoder, build_readout(suited_readout(encoder.config), encoder.width), nn.Identity())


def suited_readout(config: EncoderConfig) -> str:
    """``summary`` for an encoder that was pre-trained with one, else ``mean``, as Hu et al. have it."""
    return "summary" if config.summary else "mean"


def vector_width(config: EncoderConfig) -> int:
    """Width of the molecule vectors by the suited readout."""
    return config.summary or config.atom_width
