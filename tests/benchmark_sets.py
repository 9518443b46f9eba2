"""MoleculeNet sets of sixty made-up molecules, small enough to be reproduced in a second."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from molft.data.moleculenet import SETS

RINGS = (
    "c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccsc1", "c1ccoc1", "C1CC1", "C1CCC1", "C1CCCC1", "C1CCNCC1",
    "C1CCOCC1", "c1cnccn1", "c1ccc2ccccc2c1",
)  # fmt: skip
TAILS = ("C", "F", "CC", "Cl", "OC")
SMILES = [tail + ring for tail in TAILS for ring in RINGS]
"""Twelve scaffolds of five molecules each."""


def use_tiny_sets(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let ``bace`` (halogen or not; its last row is no molecule) and ``esol`` (carbons) be files here."""
    halogens = [int(text.startswith(("F", "Cl"))) for text in SMILES]
    carbons = [text.lower().count("c") for text in SMILES]
    classes = [f"{text},{label}" for text, label in zip(SMILES, halogens, strict=True)] + ["nonsense,1"]
    values = [f"{text},{label}" for text, label in zip(SMILES, carbons, strict=True)]
    for name, lines in (("bace", classes), ("esol", values)):
        content = "\n".join(["smiles,label", *lines, ""]).encode()
        (folder / f"{name}.csv").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        source = replace(SETS[name], file=f"{name}.csv", sha256=digest, smiles="smiles", tasks=("label",))
        patch.setitem(SETS, name, source)


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the time it took."""
    return {name: value for name, value in record.items() if name != "seconds"}
