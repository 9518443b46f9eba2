"""Encoder, readout and head in one."""

from __future__ import annotations

from torch import Tensor, nn

from molft.model.config import NetworkConfig
from molft.model.encoder import Encoder
from molft.model.heads import build_head
from molft.model.readout import build_readout
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
        out: Tensor = self.pool(self.gnn.combine(states), batch.graph, batch.size)
        return out

    def forward(self, batch: GraphBatch, topology: Topology | None = None) -> Tensor:
        """Raw outputs: logits for classes, values for regression.

        Shapes: out [B, T].
        """
        return self.predict_from(self.gnn.run(batch, topology=topology), batch)


def build_network(encoder: Encoder, config: NetworkConfig) -> Network:
    """Network of an encoder with a fresh readout and head; bad options are a :class:`MolftError`."""
    readout = build_readout(config.readout, encoder.width)
    head = build_head(config.head, readout.width, config.tasks, config.hidden, config.dropout)
    return Network(encoder, readout, head)
