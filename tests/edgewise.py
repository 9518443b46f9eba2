"""The encoder as Hu et al. wrote it: one message for each directed bond, on torch-geometric.

Slow and plain on purpose: it is the independent implementation that the factorised layers are held against,
in float64, and the other side of the benchmark. It shares the encoder's parameters and nothing else.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import add_self_loops, degree, softmax

from molft.data.batch import Batch
from molft.model.encoder import Encoder, EncoderConfig
from tests.tiny import random_batch

LOOP = (4, 0)


class EdgewiseConv(MessagePassing):
    """One convolution; row 0 of ``edge_index`` receives, row 1 sends (PyG 1.0.3's orientation)."""

    def __init__(self, kind: str, layer: nn.Module) -> None:
        super().__init__(aggr="mean" if kind == "graphsage" else "add", flow="target_to_source", node_dim=0)
        self.kind = kind
        self.layer = layer

    def forward(self, h: Tensor, edge_index: Tensor, bonds: Tensor) -> Tensor:
        """Messages over real bonds and self-loops, then the layer's own last step."""
        edge_index, _ = add_self_loops(edge_index, num_nodes=len(h))
        bonds = torch.cat([bonds, torch.tensor([LOOP], device=h.device).expand(len(h), 2)])
        layer = self.layer
        vectors = layer.edge_embedding1(bonds[:, 0]) + layer.edge_embedding2(bonds[:, 1])
        if self.kind == "gin":
            return layer.mlp(self.propagate(edge_index, x=h, vectors=vectors))
        if self.kind == "gat":
            z = layer.weight_linear(h).view(len(h), 2, -1)
            heads = self.propagate(edge_index, x=z, vectors=vectors.view(-1, 2, z.shape[2]))
            return heads.mean(dim=1) + layer.bias
        out = self.propagate(edge_index, x=layer.linear(h), vectors=vectors)
        return F.normalize(out, p=2, dim=-1) if self.kind == "graphsage" else out

    def message(self, x_i: Tensor, x_j: Tensor, vectors: Tensor, edge_index: Tensor, size_i: int) -> Tensor:
        """Neighbour state plus bond vector, weighted in GCN and GAT."""
        if self.kind == "gcn":
            scale = degree(edge_index[0], size_i, dtype=x_j.dtype).pow(-0.5)
            return (scale[edge_index[0]] * scale[edge_index[1]]).view(-1, 1) * (x_j + vectors)
        values = x_j + vectors
        if self.kind == "gat":
            logits = (torch.cat([x_i, values], dim=-1) * self.layer.att).sum(dim=-1)
            alpha = softmax(F.leaky_relu(logits, 0.2), edge_index[0], num_nodes=size_i)
            return values * alpha.unsqueeze(-1)
        return values


class EdgewiseEncoder(nn.Module):
    """The body of Hu et al.: embeddings, convolutions, batch normalisation, ReLU, ``F.dropout``; JK last."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.convs = nn.ModuleList(EdgewiseConv(encoder.config.conv, layer) for layer in encoder.gnns)

    def forward(self, batch: Batch) -> Tensor:
        """Final atom states."""
        h = self.encoder.x_embedding1(batch.atoms[:, 0]) + self.encoder.x_embedding2(batch.atoms[:, 1])
        for number, (conv, norm) in enumerate(zip(self.convs, self.encoder.batch_norms, strict=True)):
            h = norm(conv(h, batch.edge_index, batch.bonds))
            h = h if number == len(self.convs) - 1 else F.relu(h)
            h = F.dropout(h, self.encoder.dropout, self.training)
        return h


def assert_same_as_edgewise(conv: str) -> None:
    """States, input gradients of every parameter and running statistics agree in float64."""
    torch.manual_seed(1)
    batch = random_batch(seed=2)
    encoder = Encoder(EncoderConfig(conv=conv, layers=3, width=20)).double()
    twin = Encoder(encoder.config).double()
    twin.load_state_dict(encoder.state_dict())
    fast, slow = encoder(batch), EdgewiseEncoder(twin)(batch)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-11)
    weights = torch.randn_like(fast)
    (fast * weights).sum().backward()
    (slow * weights).sum().backward()
    for (name, ours), theirs in zip(encoder.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(
            ours.grad, theirs.grad, rtol=1e-8, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )
    for (name, ours), theirs in zip(encoder.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda text, name=name: f"{name}: {text}")
