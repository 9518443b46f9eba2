"""Models and libraries for the benchmarks of screening: the shipped encoder, and vendors' compounds."""

import os
import random
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import torch
from rdkit import RDConfig

from molft.data.formats import read_blocks
from molft.model.config import NetworkConfig
from molft.model.network import build_network, suited_readout
from molft.use.encoders import load_encoder
from molft.use.model import About, Model

SHIPPED = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
"""RDKit's own; for those without ``MOLFT_DATA``."""

ENAMINE = ("library/Enamine_Discovery_Diversity_Set_10266.smi", "library/Enamine50k.csv.gz")
ALL = (
    *ENAMINE,
    "library/broad_repurposing_library_6111.csv",
    "corpora/chembl.smi.xz",
    "corpora/reaction_parts.smi.xz",
    "corpora/vendor_and_decoys.smi.xz",
    "corpora/zinc.smi.xz",
)


def save_model(folder: Path, members: int = 1, encoder: str = "default") -> Path:
    """A model of a shipped encoder: each network the encoder and a random head. Its numbers mean nothing.

    Their cost is that of any model of this shape.
    """
    networks = []
    found = load_encoder(encoder)
    for seed in range(members):
        torch.manual_seed(seed)
        config = NetworkConfig(1, suited_readout(found.encoder.config), "linear")
        networks.append(build_network(load_encoder(encoder).encoder, config).eval())
    about = About(
        tasks=("active",),
        task_type="classification",
        answer="network",
        recipe=found.recipe,
        encoder=found.encoder.config,
        readout=suited_readout(found.encoder.config),
        head="linear",
        members=members,
        centre=(0.0,),
        scale=(1.0,),
        thresholds=(0.5,),
        facts={},
    )
    Model(about, networks, None).save(folder)
    return folder


def read_smiles(name: str) -> Iterator[str]:
    """The SMILES of a file of ``MOLFT_DATA``: its column of that name, in whatever case."""
    for block in read_blocks(Path(os.environ["MOLFT_DATA"]) / name):
        column = next(column for column in block.columns if column.lower() == "smiles")
        yield from (text for text in block[column] if text)


def write_library(path: Path, rows: int, names: tuple[str, ...]) -> Path:
    """Write ``rows`` lines ``id,smiles``: the files' molecules shuffled, and again from the first if need be.

    Without ``MOLFT_DATA`` those of RDKit's own file.
    """
    if os.environ.get("MOLFT_DATA"):
        smiles = [text for name in names for text in read_smiles(name)]
    else:
        smiles = [line.split()[0] for line in SHIPPED.read_text().splitlines()]
    random.Random(0).shuffle(smiles)
    with path.open("w") as file:
        file.write("id,smiles\n")
        file.writelines(f"{row},{text}\n" for row, text in enumerate(islice(cycle(smiles), rows)))
    return path
