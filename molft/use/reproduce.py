"""``molft reproduce``: MoleculeNet's sets on the published split, ours beside what the papers print.

The folder holds ``options.json``, one record a finished set and seed in ``runs``, and from these, made anew
whenever a set is finished, ``results.json``, ``records.csv``, ``table.csv`` and ``table.png``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from molft.errors import MolftError
from molft.files import read_json, sha256, write_json
from molft.model.encoder import Encoder
from molft.model.weights import CONFIG
from molft.use.benchmark_data import check_names, read_benchmark
from molft.use.checkout import find_commit
from molft.use.encoders import SHIPPED, encoder_folder
from molft.use.options import Reporter, Silent
from molft.use.protocols import SEEDS, Setting, starting_encoder
from molft.use.reproduce_runs import Record, Work, read_records, record_path, run_seeds, versions
from molft.use.reproduce_table import write_results

OPTIONS = "options.json"
_DEFAULT = Setting()
_SHARED = ("protocol", "encoder", "encoder_sha256", "features", "device", "precision")


def reproduce(
    names: Sequence[str],
    folder: str | Path,
    setting: Setting = _DEFAULT,
    *,
    seeds: int | None = None,
    jobs: int = 1,
    cores: int = 1,
    data_dir: str | Path | None = None,
    rows: int | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> list[Record]:
    """Run sets with seeds 0 to ``seeds`` - 1 (3 in protocol molft, 10 in snap); all records of the folder.

    ``jobs`` runs go side by side; ``cores`` processes read the molecules. A folder that is not empty is
    refused unless ``resume`` goes on with it: then a finished set and seed is not run again, sets and seeds
    may be added, and everything else must be as it was begun. ``rows`` keeps the first rows of each part, to
    try things out. What can't be used is a :class:`MolftError`.
    """
    names, folder, reporter = check_names(list(names)), Path(folder), reporter or Silent()
    count = SEEDS[setting.protocol] if seeds is None else seeds
    if count < 1 or jobs < 1 or (rows is not None and rows < 2):
        raise MolftError(f"seeds {count}, jobs {jobs}, rows {rows}: at least 1, 1 and 2 are needed")
    encoder, _ = starting_encoder(setting)
    about = _about(setting, encoder, rows)
    _claim(folder, about, resume)
    shared = {name: about[name] for name in _SHARED} | {"first_rows": rows, "commit": find_commit()}
    for name in names:
        wanted = [seed for seed in range(count) if not record_path(folder, name, seed).exists()]
        if len(wanted) < count:
            reporter.line(f"{name}: {count - len(wanted)} of {count} seeds are finished already")
        if wanted:
            data = read_benchmark(
                name,
                encoder.config.scheme,
                reporter,
                data_dir=None if data_dir is None else Path(data_dir),
                rows=rows,
                workers=cores if cores > 1 else 0,
            )
            run_seeds(Work(data, setting, shared, folder), wanted, jobs, reporter)
            write_results(folder, read_records(folder), about)
    records = read_records(folder)
    write_results(folder, records, about)
    return records


def _about(setting: Setting, encoder: Encoder, rows: int | None) -> dict[str, Any]:
    """What must be the same for a folder to be gone on with, as it comes back from JSON."""
    ready = setting.encoder == "none"
    about = {
        "protocol": setting.protocol,
        # The folder's name, not where it lies: results are shown to others.
        "encoder": setting.encoder if setting.encoder in (*SHIPPED, "none") else Path(setting.encoder).name,
        "encoder_sha256": None if ready else sha256(encoder_folder(setting.encoder) / CONFIG),
        "features": encoder.config.scheme,
        "epochs": setting.epochs,
        "ensemble_size": setting.ensemble_size,
        "trees": setting.trees,
        "first_rows": rows,
        "device": setting.device.partition(":")[0],
        "precision": "bf16" if setting.half(encoder.config.conv) else "float32",
        "versions": versions(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(about))
    return plain


def _claim(folder: Path, about: dict[str, Any], resume: bool) -> None:
    """Begin a folder, or check that it was begun with the same."""
    begun = folder / OPTIONS
    if not begun.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise MolftError(f"{folder} is not empty and holds no molft reproduce; choose another folder")
        try:
            (folder / "runs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MolftError(f"{folder}: can't be made a folder: {error.strerror}") from error
        write_json(begun, about)
        return
    if not resume:
        raise MolftError(f"{folder} holds results already; go on with --resume, or choose another folder")
    known = read_json(begun)
    if not isinstance(known, dict):
        raise MolftError(f"{begun} was not written by molft reproduce; choose another folder")
    changed = [name for name in {**known, **about} if known.get(name) != about.get(name)]
    if changed:
        told = "; ".join(f"{name} was {known.get(name)!r}, now {about.get(name)!r}" for name in changed)
        raise MolftError(
            f"{folder} was begun with something else: {told}. A table is never mixed: go on with what it was "
            "begun with, or choose another folder"
        )
    (folder / "runs").mkdir(exist_ok=True)
