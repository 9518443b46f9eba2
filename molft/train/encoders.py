"""A new, untrained encoder for a feature scheme."""

from __future__ import annotations

from dataclasses import replace

from molft.chem.features import find_scheme
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder


def new_encoder(
    scheme: str, *, conv: str = "gin", layers: int = 5, width: int = 300, jk: str = "last", summary: int = 0
) -> Encoder:
    """An encoder with random weights (drawn from torch's generator) that reads the codes of ``scheme``.

    A ``summary`` above 0 is the width of its molecule vector (:class:`molft.model.summary.Summary`).
    """
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
            summary=summary,
        )
    )


def add_summary(encoder: Encoder, summary: int) -> Encoder:
    """The same encoder with a new, untrained summary; one that has a summary is given back as it is."""
    if encoder.config.summary:
        return encoder
    out = Encoder(replace(encoder.config, summary=summary))
    out.load_state_dict({**out.state_dict(), **encoder.state_dict()})
    return out
