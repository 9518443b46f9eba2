"""All objectives of a run on one encoder: one pass over the batch serves as many as can share it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from molft.chem.features import find_scheme
from molft.data.batch import Batch
from molft.model.encoder import Encoder
from molft.model.readout import MeanAndSum
from molft.train.encoders import add_summary, new_encoder
from molft.train.objectives.bonds import MaskedBonds, touching
from molft.train.objectives.context import CONTEXT_LAYERS, ContextPrediction
from molft.train.objectives.contrastive import Contrastive
from molft.train.objectives.descriptors import DescriptorValues
from molft.train.objectives.distillation import Distillation, Teacher
from molft.train.objectives.edges import predict_edges
from molft.train.objectives.fingerprints import FingerprintBits
from molft.train.objectives.infomax import Infomax
from molft.train.objectives.labels import SupervisedLabels
from molft.train.objectives.masking import MaskedAtoms, choose_atoms
from molft.train.objectives.structure import StructuralProperties
from molft.train.pretrain_config import MOLECULES, PretrainConfig
from molft.train.running_statistics import batch_statistics

Results = dict[str, tuple[Tensor, Tensor]]
"""Loss and a score (best is 1) of each objective, by name."""

_OWN_PASS = {"context", "contrastive"}  # these encode graphs of their own


class Pretraining(nn.Module):
    """Encoder and the heads of the chosen objectives, each under the objective's name."""

    def __init__(
        self,
        encoder: Encoder,
        config: PretrainConfig,
        centre: Tensor | None = None,
        scale: Tensor | None = None,
        labels: tuple[Tensor, Tensor, bool] | None = None,
        teacher: tuple[Teacher, int] | None = None,
    ) -> None:
        """``centre`` and ``scale`` [D] belong to the descriptors; ``labels`` comes from ``label_scale``.

        The ``teacher`` of a distillation comes with the width of its vectors.

        For objectives of whole molecules an encoder without a summary is given one.
        """
        super().__init__()
        if set(MOLECULES) & set(config.objectives):
            encoder = add_summary(encoder, config.summary)
        vector = encoder.config.summary
        scheme, width, wanted = find_scheme(encoder.config.scheme), encoder.width, config.objectives
        self.encoder = encoder
        self.pool = MeanAndSum(width)
        self.config = config
        if "masking" in wanted:
            self.masking = MaskedAtoms(width, scheme.atom_sizes, scheme.mask_atom)
        if "bonds" in wanted:
            self.bonds = MaskedBonds(width, scheme.bond_sizes, scheme.mask_bond)
        if "structure" in wanted:
            self.structure = StructuralProperties(width)
        if "infomax" in wanted:
            self.infomax = Infomax(width)
        if "descriptors" in wanted and centre is not None and scale is not None:
            self.descriptors = DescriptorValues(vector, centre, scale)
        if "fingerprints" in wanted:
            self.fingerprints = FingerprintBits(vector)
        if "labels" in wanted and labels is not None:
            self.labels = SupervisedLabels(vector, *labels)
        if "distillation" in wanted and teacher is not None:
            self.teach, size = teacher
            self.distillation = Distillation(vector, size)
        if "contrastive" in wanted:
            self.contrastive = Contrastive(width, scheme.mask_atom)
        if "context" in wanted:
            self.context = ContextPrediction(
                encoder.config.layers, _context_encoder(encoder), config.context_mode
            )

    def forward(self, batch: Batch, targets: Mapping[str, Tensor], generator: torch.Generator) -> Results:
        """Loss and score of each objective; ``targets`` holds descriptors, bits and labels if wanted."""
        wanted = self.config.objectives
        out: Results = {}
        if set(wanted) - _OWN_PASS:
            seen, atoms, bonds = self._hide(batch, generator)
            states = self.encoder(seen).float()
            out |= self._of_hidden(states, batch, atoms, bonds)
            out |= self._of_atoms(states, batch, generator)
            out |= self._of_molecules(states, batch, targets)
        if "context" in wanted:
            out["context"] = self.context(self._encode_part, batch, generator)
        if "contrastive" in wanted:
            out["contrastive"] = self.contrastive(self._encode_part, batch, generator)
        return out

    def _encode_part(self, batch: Batch) -> Tensor:
        """States of fragments or altered molecules.

        Whole molecules, if the run encodes any, are to say what is normal; otherwise these have to.
        """
        if not set(self.config.objectives) - _OWN_PASS:
            return self.encoder(batch)
        with batch_statistics(self.encoder):
            return self.encoder(batch)

    def _hide(self, batch: Batch, generator: torch.Generator) -> tuple[Batch, Tensor, Tensor]:
        """What the encoder may see, and the numbers of hidden atoms and bonds."""
        wanted = self.config.objectives
        nothing = batch.graph[:0]
        if not {"masking", "bonds"} & set(wanted):
            return batch, nothing, nothing
        draw = torch.rand(batch.size, generator=generator, device=batch.graph.device)
        chosen = draw < self.config.masked_share
        chosen[0] = True  # a batch with nothing to predict has no mean
        atoms = choose_atoms(batch.graph, batch.size, generator, chosen)
        seen, bonds = batch, nothing
        if "masking" in wanted:
            seen = seen._replace(atoms=self.masking.hide(batch.atoms, atoms))
        if "bonds" in wanted:
            bonds = touching(batch.edge_index, atoms, len(batch.atoms))
            seen = seen._replace(bonds=self.bonds.hide(batch.bonds, bonds))
        return seen, atoms, bonds

    def _of_hidden(self, states: Tensor, batch: Batch, atoms: Tensor, bonds: Tensor) -> Results:
        out: Results = {}
        if "masking" in self.config.objectives:
            out["masking"] = self.masking(states[atoms], batch.atoms[atoms])
        if "bonds" in self.config.objectives:
            out["bonds"] = self.bonds(states, batch.edge_index[:, 2 * bonds], batch.bonds[2 * bonds])
        return out

    def _of_atoms(self, states: Tensor, batch: Batch, generator: torch.Generator) -> Results:
        out: Results = {}
        if "structure" in self.config.objectives:
            out["structure"] = self.structure(states, batch)
        if "edges" in self.config.objectives:
            out["edges"] = predict_edges(states, batch, generator)
        if "infomax" in self.config.objectives:
            out["infomax"] = self.infomax(states, batch.graph, batch.size)
        return out

    def _of_molecules(self, states: Tensor, batch: Batch, targets: Mapping[str, Tensor]) -> Results:
        out: Results = {}
        if not set(MOLECULES) & set(self.config.objectives):
            return out
        summary = self.encoder.summarize(self.pool(states, batch.graph, batch.size))
        if "descriptors" in self.config.objectives:
            out["descriptors"] = self.descriptors(summary, targets["descriptors"])
        if "fingerprints" in self.config.objectives:
            out["fingerprints"] = self.fingerprints(summary, targets["bits"])
        if "distillation" in self.config.objectives:
            out["distillation"] = self.distillation(summary, self.teach(batch))
        if "labels" in self.config.objectives:
            out["labels"] = self.labels(summary, targets["labels"])
        return out


def _context_encoder(encoder: Encoder) -> Encoder:
    """A smaller encoder of the same kind whose vectors are as wide."""
    config = encoder.config
    jk = "last" if config.jk == "concat" else config.jk
    return new_encoder(config.scheme, conv=config.conv, layers=CONTEXT_LAYERS, width=encoder.width, jk=jk)
