"""A new, untrained encoder for a feature scheme."""

from __future__ import annotations

from molft.chem.features import find_scheme
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder


def new_encoder(
    scheme: str, *, conv: str = "gin", layers: int = 5, width: int = 300, jk: str = "last"
) -> Encoder:
    """An encoder with random weights (drawn from torch's generator) that reads the codes of ``scheme``."""
    codes = find_scheme(scheme)
    return Encoder(
        EncoderConfig(
            conv=conv,
            layers=layers,
            width=width,
            jk=jk,
            scheme=scheme,
            atom_sizes=codes.atom_sizes,
            bond_sizes=codes.bond_sizes,
            loop_bond=codes.loop_bond,
        )
    )
