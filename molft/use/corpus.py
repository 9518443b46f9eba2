"""Pre-training from files: corpus to store, store to encoder folder with its card."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import rdkit
import torch

import molft
from molft.data.corpus import CorpusCounts, pack_corpus
from molft.errors import MolftError
from molft.files import read_json, sha256, write_json
from molft.model.weights import save_encoder
from molft.train.pretrain import PretrainConfig, pretrain, target_arrays
from molft.use.options import Reporter


def pretrain_on_files(
    paths: Sequence[Path],
    directory: Path,
    config: PretrainConfig,
    *,
    features: str,
    sample: float,
    workers: int,
    resume: bool,
    reporter: Reporter,
) -> None:
    """Pack the files (once), pre-train, and write the encoder to ``directory/encoder``.

    An interrupted run continues with ``resume``; the packed store is reused as it is.
    """
    if directory.exists() and any(directory.iterdir()) and not resume:
        raise MolftError(f"{directory} is not empty; go on with --resume, or choose another folder")
    for path in paths:
        if not path.exists():
            raise MolftError(f"{path}: there is no such file")
    directory.mkdir(parents=True, exist_ok=True)
    counts = _pack(paths, directory, features, sample, config.seed, workers, reporter)
    started = time.monotonic()

    def tell(facts: dict[str, float]) -> None:
        losses = ", ".join(f"{k.removesuffix('_loss')} {v:.4f}" for k, v in facts.items() if k.endswith("_loss"))
        note = f"held-out loss {losses}, {facts['molecules_per_s']:.0f} molecules/s"
        reporter.progress("pre-training", int(facts["step"]), int(facts["steps"]), note)
        tell.last = facts  # type: ignore[attr-defined]

    encoder = pretrain(directory / "store", directory, config, resume=resume, on_report=tell)
    card = {
        "corpus": counts,
        "objectives": dict(config.objectives),
        "options": {**asdict(config), "objectives": dict(config.objectives)},
        "held_out": {k: round(v, 5) for k, v in getattr(tell, "last", {}).items()},
        "seconds_of_last_run": round(time.monotonic() - started),
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": {"molft": molft.__version__, "torch": torch.__version__, "rdkit": rdkit.__version__},
    }
    save_encoder(encoder, directory / "encoder", card)
    reporter.line(f"encoder: {directory / 'encoder'}  (use it with molft finetune --encoder)")


def _pack(
    paths: Sequence[Path],
    directory: Path,
    features: str,
    sample: float,
    seed: int,
    workers: int,
    reporter: Reporter,
) -> dict[str, object]:
    """The store of these files, made if it is not there yet; what it holds."""
    wanted = {
        "files": {path.name: sha256(path) for path in paths},
        "features": features,
        "sample": sample,
        "seed": seed,
    }
    record = directory / "corpus.json"
    if record.exists():
        known = read_json(record)
        if any(known[key] != value for key, value in wanted.items()):
            raise MolftError(f"{directory} was begun with another corpus or other options; choose another folder")
        return dict(known)

    def tell(counts: CorpusCounts) -> None:
        reporter.progress("packing molecules", counts.chosen, 0, f"{counts.kept} kept")

    counts = pack_corpus(
        paths, directory / "store", features, target_arrays, sample=sample, seed=seed, workers=workers, progress=tell
    )
    facts = wanted | asdict(counts)
    write_json(record, facts)
    reporter.line(f"corpus: {counts.kept} molecules of {counts.chosen} rows ({counts.duplicates} double, {counts.rejected} refused)")
    return facts
