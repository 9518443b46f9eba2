"""Pre-training from files: corpus to store, store to encoder folder with its card and its curves."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import rdkit
import torch
from rdkit import Chem, rdBase

import molft
from molft.data.assay_labels import LabelTable, read_label_tables
from molft.data.benchmark_leakage import benchmark_molecules
from molft.data.corpus import LARGEST_ATOMS, CorpusCounts, Filters, pack_corpus
from molft.errors import MolftError
from molft.files import read_json, sha256, write_json
from molft.model.encoder import Encoder
from molft.model.weights import WEIGHTS, load_encoder_files, save_encoder
from molft.train.budget import Budget
from molft.train.pretrain import REPORTS, pretrain
from molft.train.pretrain_config import PretrainConfig
from molft.train.pretrain_data import target_arrays
from molft.train.processes import Processes, join_processes, leave_processes
from molft.use.encoders import encoder_folder
from molft.use.options import Reporter, Silent
from molft.use.training_curves import plot_reports

_CURVES = "metrics.png"


@dataclass(frozen=True)
class CorpusOptions:
    """What becomes of the files before training.

    elements: symbols that may occur; none for all. labels: tables for the objective "labels", whose
    ``label_columns`` are patterns. leave_out_benchmarks: drop what MoleculeNet's splits validate and test on;
    with labels that is always done.
    """

    features: str = "ogb"
    sample: float = 1.0
    elements: tuple[str, ...] = ()
    fewest_atoms: int = 1
    most_atoms: int = LARGEST_ATOMS
    labels: tuple[Path, ...] = ()
    label_columns: tuple[str, ...] = ()
    leave_out_benchmarks: bool = False
    data_dir: Path | None = None
    workers: int = 2


def pretrain_on_files(
    paths: Sequence[Path],
    directory: Path,
    config: PretrainConfig,
    options: CorpusOptions,
    *,
    init: str | Path | None = None,
    teacher: str | Path | None = None,
    device: str = "cpu",
    memory: int | None = None,
    resume: bool,
    reporter: Reporter,
) -> None:
    """Pack the files (once), pre-train, and write the encoder to ``directory/encoder``.

    ``config.parts`` counts for each process; ``init`` is an encoder to start from and ``teacher`` one to
    learn from, each a shipped one or a folder. An interrupted run continues with ``resume``; the packed store
    is reused as it is. ``memory`` is what training may hold, in bytes (:mod:`molft.train.ways`); None: as
    much as it takes.
    """
    _check(paths, config, options, teacher)
    processes, own = join_processes(device)
    if processes.rank:
        reporter = Silent()
    try:
        if processes.rank == 0:
            _prepare_folder(directory, resume)
            _pack(paths, directory, options, config.seed, reporter)
        processes.wait()
        config = replace(config, parts=config.parts * processes.size)
        encoder, config = _begin_from(init, config)
        taught, config = _learn_from(teacher, config)
        budget = None if memory is None else Budget(memory, own, reporter.line)
        _train(directory, config, (encoder, taught), own, processes, budget, resume, reporter)
    finally:
        leave_processes()


def _check(
    paths: Sequence[Path], config: PretrainConfig, options: CorpusOptions, teacher: str | Path | None
) -> None:
    for path in [*paths, *options.labels]:
        if not path.exists():
            raise MolftError(f"{path}: there is no such file")
    if ("labels" in config.objectives) != bool(options.labels):
        raise MolftError("the objective 'labels' and a table of labels (--labels) need each other")
    if ("distillation" in config.objectives) != (teacher is not None):
        raise MolftError(
            "the objective 'distillation' and an encoder to learn from (--teacher) need each other"
        )


def _prepare_folder(directory: Path, resume: bool) -> None:
    if directory.exists() and any(directory.iterdir()) and not resume:
        raise MolftError(f"{directory} is not empty; go on with --resume, or choose another folder")
    directory.mkdir(parents=True, exist_ok=True)


def _begin_from(init: str | Path | None, config: PretrainConfig) -> tuple[Encoder | None, PretrainConfig]:
    """The encoder to start from, and the options with its shape; without one, the options as they are."""
    if init is None:
        return None, config
    folder = encoder_folder(init)
    encoder, _ = load_encoder_files(folder)
    shape = encoder.config
    config = replace(config, conv=shape.conv, layers=shape.layers, width=shape.width, jk=shape.jk)
    return encoder, replace(config, init=sha256(folder / WEIGHTS))


def _learn_from(teacher: str | Path | None, config: PretrainConfig) -> tuple[Encoder | None, PretrainConfig]:
    """The encoder to learn from, and the options with its hash."""
    if teacher is None:
        return None, config
    folder = encoder_folder(teacher)
    return load_encoder_files(folder)[0], replace(config, teacher=sha256(folder / WEIGHTS))


def _train(
    directory: Path,
    config: PretrainConfig,
    others: tuple[Encoder | None, Encoder | None],
    device: torch.device,
    processes: Processes,
    budget: Budget | None,
    resume: bool,
    reporter: Reporter,
) -> None:
    """Train; ``others`` are the encoders to start from and to learn from."""
    started = time.monotonic()

    def tell(facts: dict[str, float]) -> None:
        losses = ", ".join(
            f"{k.removesuffix('_loss')} {v:.4f}" for k, v in facts.items() if k.endswith("_loss")
        )
        note = f"losses: {losses}; {facts['molecules_per_s']:.0f} molecules/s"
        reporter.progress("pre-training", int(facts["step"]), int(facts["steps"]), note)

    try:
        encoder = pretrain(
            directory / "store",
            directory,
            config,
            init=others[0],
            teacher=others[1],
            resume=resume,
            on_report=tell,
            device=device,
            processes=processes,
            budget=budget,
        )
    finally:
        if processes.rank == 0 and _last_report(directory):
            plot_reports(directory / REPORTS, directory / _CURVES)
    if processes.rank == 0:
        card = _card(directory, config, time.monotonic() - started, processes.size, device)
        save_encoder(encoder.cpu(), directory / "encoder", card)
        reporter.line(f"curves: {directory / _CURVES}")
        reporter.line(f"encoder: {directory / 'encoder'}  (use it with molft finetune --encoder)")


def _last_report(directory: Path) -> dict[str, float]:
    """The last line of ``metrics.jsonl``, empty where there is none."""
    path = directory / REPORTS
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines else {}


def _card(
    directory: Path,
    config: PretrainConfig,
    seconds: float,
    processes: int,
    device: torch.device,
) -> dict[str, object]:
    """What a user of the encoder should know."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "corpus": read_json(directory / "corpus.json"),
        "objectives": dict(config.objectives),
        "options": config.to_json(),
        "held_out": _last_report(directory),
        "seconds_of_last_run": round(seconds),
        "hardware": f"{processes} x {where}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": {"molft": molft.__version__, "torch": torch.__version__, "rdkit": rdkit.__version__},
    }


def _pack(
    paths: Sequence[Path], directory: Path, options: CorpusOptions, seed: int, reporter: Reporter
) -> None:
    """Make the store of these files if it is not there yet, and say what it holds."""
    wanted = _identity(paths, options, seed)
    record, store = directory / "corpus.json", directory / "store"
    if record.exists():
        known = read_json(record)
        if any(known.get(name) != value for name, value in wanted.items()):
            raise MolftError(
                f"{directory} was begun with another corpus or other options; choose another folder"
            )
        return
    shutil.rmtree(store, ignore_errors=True)  # its record was never written: the run was killed just then
    labels = _labels(options, reporter)

    def tell(counts: CorpusCounts) -> None:
        reporter.progress("packing molecules", counts.chosen, 0, f"{counts.kept} kept")

    counts = pack_corpus(
        paths,
        store,
        options.features,
        target_arrays,
        filters=_filters(options, reporter),
        labels=labels,
        sample=options.sample,
        seed=seed,
        workers=options.workers,
        progress=tell,
    )
    size = sum(path.stat().st_size for path in store.iterdir())
    facts: dict[str, Any] = wanted | asdict(counts) | {"bytes_per_molecule": round(size / counts.kept, 1)}
    if labels is not None:
        facts["tasks"] = list(labels.tasks)
    write_json(record, facts)
    reporter.line(_summary(counts, size))


def _identity(paths: Sequence[Path], options: CorpusOptions, seed: int) -> dict[str, object]:
    """What must not change between a run and its continuation."""
    chosen = {name: value for name, value in asdict(options).items() if name not in ("workers", "data_dir")}
    files = {path.name: sha256(path) for path in paths}
    chosen["labels"] = [sha256(path) for path in options.labels] or None
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}
    return {"files": files, "seed": seed} | plain


def _filters(options: CorpusOptions, reporter: Reporter) -> Filters:
    held_out = None
    if options.leave_out_benchmarks or options.labels:
        held_out = benchmark_molecules(
            data_dir=options.data_dir,
            progress=lambda done, total, name: reporter.progress("reading benchmarks", done, total, name),
        )
        reporter.line(f"to be left out: {len(held_out.keys)} fragments of benchmarks' test molecules")
    return Filters(_atomic_numbers(options.elements), options.fewest_atoms, options.most_atoms, held_out)


def _atomic_numbers(symbols: Sequence[str]) -> frozenset[int]:
    numbers = set()
    for symbol in symbols:
        try:
            with rdBase.BlockLogs():
                numbers.add(Chem.GetPeriodicTable().GetAtomicNumber(symbol))
        except RuntimeError as error:
            raise MolftError(f"{symbol!r} is no element; expected symbols such as C,N,O,S,Cl") from error
    return frozenset(numbers)


def _labels(options: CorpusOptions, reporter: Reporter) -> LabelTable | None:
    if not options.labels:
        return None
    table = read_label_tables(options.labels, options.label_columns)
    files = ", ".join(path.name for path in options.labels)
    reporter.line(f"labels: {len(table.tasks)} tasks, {len(table.smiles)} different SMILES in {files}")
    return table


def _summary(counts: CorpusCounts, size: int) -> str:
    parts = [f"{counts.duplicates} double"]
    parts += [f"{number} refused ({stage})" for stage, number in sorted(counts.rejected.items())]
    parts += [f"{number} left out ({reason})" for reason, number in sorted(counts.filtered.items())]
    parts += [f"{counts.labelled} with labels"] if counts.labelled else []
    return (
        f"corpus: {counts.kept} molecules of {counts.chosen} rows: {', '.join(parts)}; "
        f"{size / counts.kept:.0f} bytes each on disk"
    )
