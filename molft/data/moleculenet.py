"""The MoleculeNet benchmark sets (Wu et al., Chem. Sci. 2018, 9, 513), as the SNAP code reads them.

Raw strings: no salt is stripped, no duplicate merged. A row is dropped only where RDKit refuses it or the
`snap` features have no code for an atom or bond, and every dropped row is named. The eight classification
sets are those of Hu, Liu et al. (ICLR 2020); ESOL, FreeSolv and Lipophilicity are the regression sets.

Files are the ones MoleculeNet distributes through DeepChem, in copies that lie at a fixed commit of a public
repository (`Source.url`), because for these the SHA-256 is known: a file of any other content is refused.
DeepChem's own address is `Source.deepchem`; for clintox and tox21 the file there is a .gz of its own.

Symbols: R kept rows, T tasks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from molft.chem.prepare import Recipe, prepare
from molft.chem.scaffold import snap_scaffold
from molft.data.download import check_sha256, download
from molft.data.split import Split, scaffold_split
from molft.errors import MolftError, Rejected

RECIPE = Recipe(scheme="snap", standardize=False)
_BLOCK = 4096
_GITHUB = "https://raw.githubusercontent.com/"
_COLLECTION = "GLambard/Molecules_Dataset_Collection/beb35cd0b76db5adef6cb1fa55807e4cd309aaed/originals/"
_DEEPCHEM = "deepchem/deepchem/fbe3b911a94a6eb8c84c1a9e7ac67a472c49ea80/"
_S3 = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/"


@dataclass(frozen=True)
class Source:
    """Where a set comes from and what its columns mean.

    `rows` are the data rows of the file, `kept` those that RDKit 2026.09.1 and the `snap` features accept;
    other RDKit versions keep a few more or less. `tasks` empty: every column but the SMILES is one.
    `canonical`: the SNAP code stored canonical SMILES and made the scaffolds from these.
    """

    file: str
    address: str
    sha256: str
    rows: int
    kept: int
    deepchem_file: str
    smiles: str = "smiles"
    tasks: tuple[str, ...] = ()
    task_type: str = "classification"
    metric: str = "roc_auc"
    canonical: bool = False

    @property
    def url(self) -> str:
        """Address of the copy whose SHA-256 is known."""
        return _GITHUB + self.address

    @property
    def deepchem(self) -> str:
        """Address DeepChem 2.8 loads the set from."""
        return _S3 + self.deepchem_file


_TOX21 = ("NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
          "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53")  # fmt: skip
_MUV = tuple(f"MUV-{assay}" for assay in (466, 548, 600, 644, 652, 689, 692, 712, 713, 733, 737, 810, 832,
                                          846, 852, 858, 859))  # fmt: skip
_SOLUBILITY = "measured log solubility in mols per litre"

SETS = {
    "bbbp": Source(
        "BBBP.csv", _COLLECTION + "BBBP.csv",
        "d07a38487aeac5cee5508413e468043ef3097451d2a112701c2d60be9ec6b662",
        2050, 2039, "BBBP.csv", tasks=("p_np",), canonical=True,
    ),
    "tox21": Source(
        "tox21.csv", _COLLECTION + "tox21.csv",
        "7d7e7facd853a63e79ddce4e9c3fcb7a0d83a1c300b603031c0f2c64fbe77761",
        7831, 7823, "tox21.csv.gz", tasks=_TOX21,
    ),
    "toxcast": Source(
        "toxcast_data.csv.gz",
        "JacksonBurns/chemeleon/e629639e4a74f475372a878f351a326289146b18/analysis/embedding_analysis/data/"
        "imported_data/toxcast_data.csv.gz",
        "02c8b96da666884a13746e4891fc10b4f81f51fa14e0060df1db7da0223b46c6",
        8597, 8579, "toxcast_data.csv.gz", canonical=True,
    ),
    "sider": Source(
        "sider.csv.gz", _DEEPCHEM + "examples/sider/sider.csv.gz",
        "4cc7ccb20dded475853c583596e227116c222c6ca7dbb40159bdbe9ee3f099b9",
        1427, 1427, "sider.csv.gz",
    ),
    "clintox": Source(
        "clintox.csv", _COLLECTION + "clintox.csv",
        "0bd655529cebe6d94addd48b8afdab6fa0438b4503a470866231793f235d7e61",
        1484, 1478, "clintox.csv.gz", tasks=("FDA_APPROVED", "CT_TOX"), canonical=True,
    ),
    "muv": Source(
        "muv.csv.gz", _DEEPCHEM + "datasets/muv.csv.gz",
        "93c8b4a37c5996c76e57d5f3f065fb8b7cf1c19067011eff2293fd2a94ce274a",
        93127, 93127, "muv.csv.gz", tasks=_MUV,
    ),
    "hiv": Source(
        "HIV.csv", _COLLECTION + "HIV.csv",
        "54713c3205055055ea4214e8c4b0d22d93af7e54ad2c48f4edc866e161e57262",
        41127, 41119, "HIV.csv", tasks=("HIV_active",),
    ),
    "bace": Source(
        "bace.csv", "OpenDrugAI/AttentiveFP/dda6708342ffe255ded73c459ad64214a4615542/data/bace.csv",
        "f3fb9ce90bada3e2bd6148b0df13f8f8145a357bf87df0dd5b391ede974fc737",
        1513, 1513, "bace.csv", smiles="mol", tasks=("Class",),
    ),
    "esol": Source(
        "delaney-processed.csv", _DEEPCHEM + "datasets/delaney-processed.csv",
        "8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189",
        1128, 1128, "delaney-processed.csv", tasks=(_SOLUBILITY,), task_type="regression", metric="rmse",
    ),
    "freesolv": Source(
        "SAMPL.csv", _COLLECTION + "FreeSolv_SAMPL.csv",
        "ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72",
        642, 642, "SAMPL.csv", tasks=("expt",), task_type="regression", metric="rmse",
    ),
    "lipophilicity": Source(
        "Lipophilicity.csv", _COLLECTION + "Lipophilicity.csv",
        "aed41590cb30609d51d8e08ad3ff06495a76e80e211358801f596b10da69bacd",
        4200, 4200, "Lipophilicity.csv", tasks=("exp",), task_type="regression", metric="rmse",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """A set as read.

    Shapes: smiles list of R strings as written in the file; labels float32 [R, T], NaN where missing, classes
    0 and 1; rows int64 [R], row of the file (first data row 0); rejected, the other rows.
    """

    name: str
    smiles: list[str]
    labels: NDArray[np.float32]
    tasks: tuple[str, ...]
    task_type: str
    metric: str
    rows: NDArray[np.int64]
    rejected: list[Rejected]


def load(name: str, data_dir: str | Path | None = None) -> Benchmark:
    """Read a set by its name (bbbp, tox21, ...), downloading it if this machine doesn't have it.

    An unknown name, a file of other content than known, and a failed download raise `MolftError`.
    """
    source = _source(name)
    table = _read(find(name, data_dir), source)
    smiles = table[source.smiles].tolist()
    rows, rejected = accept_rows(smiles)
    labels = table.drop(columns=source.smiles).to_numpy(dtype=np.float32)[rows]
    tasks = tuple(table.columns.drop(source.smiles))
    kept = [smiles[row] for row in rows.tolist()]
    return Benchmark(name.lower(), kept, labels, tasks, source.task_type, source.metric, rows, rejected)


def find(name: str, data_dir: str | Path | None = None) -> Path:
    """Path of a set's file, checked; downloaded into `data_dir`, or else the cache, where it is nowhere.

    Looked for in `data_dir`, then in the folder that MOLFT_DATA names, then in the cache (molft/moleculenet
    in XDG_CACHE_HOME or ~/.cache), each with or without a subfolder moleculenet. MOLFT_DATA isn't written to.
    """
    source = _source(name)
    folders = [Path(folder) for folder in (data_dir, os.environ.get("MOLFT_DATA")) if folder]
    for folder in [*folders, _cache()]:
        for path in (folder / source.file, folder / "moleculenet" / source.file):
            if path.is_file():
                check_sha256(path, (source.sha256,))
                return path
    target = Path(data_dir) if data_dir else _cache()
    return download(source.url, target / source.file, (source.sha256,))


def published_split(benchmark: Benchmark) -> Split:
    """The scaffold split behind the published numbers: 0.8, 0.1, 0.1, chirality-aware, no seed."""
    canonical = SETS[benchmark.name].canonical
    return scaffold_split([snap_scaffold(text, canonical) for text in benchmark.smiles], ties="row")


def _source(name: str) -> Source:
    if name.lower() not in SETS:
        raise MolftError(f"{name!r} is no MoleculeNet set known here; expected one of {', '.join(SETS)}.")
    return SETS[name.lower()]


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "molft" / "moleculenet"


def _read(path: Path, source: Source) -> pd.DataFrame:
    """SMILES column first as text, the tasks after it as numbers."""
    columns = [source.smiles, *source.tasks] if source.tasks else None
    # Only an empty cell is a missing label: pandas' own list of spellings would also blank a SMILES "N/A".
    table = pd.read_csv(
        path, usecols=columns, dtype={source.smiles: str}, keep_default_na=False, na_values=[""]
    )
    return table if columns is None else table[columns]


def accept_rows(smiles: list[str], recipe: Recipe = RECIPE) -> tuple[NDArray[np.int64], list[Rejected]]:
    """Rows that parse and that the features can index, and the others with the reason."""
    accepted, rejected = [np.empty(0, dtype=np.int64)], []
    for start in range(
        0, len(smiles), _BLOCK
    ):  # in blocks, so that the molecules of MUV aren't all alive at once
        block = prepare(smiles[start : start + _BLOCK], recipe)
        accepted.append(block.index + start)
        rejected += [bad._replace(row=bad.row + start) for bad in block.rejected]
    return np.concatenate(accepted), rejected
