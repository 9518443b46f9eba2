"""The command ``molft pretrain``."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from molft.command import (
    Device,
    Memory,
    Precision,
    PrecisionName,
    Resume,
    Seed,
    Workers,
    count_bytes,
    count_workers,
    find_device,
    friendly_errors,
)


class ContextMode(StrEnum):
    """What a neighbourhood is compared with."""

    cbow = "cbow"
    skipgram = "skipgram"


Corpus = Annotated[list[Path], typer.Argument(help="SMILES files: smi, csv, txt, .gz, .xz, ...")]
Out = Annotated[
    Path, typer.Option("-o", "--out", help="Folder for the store, the checkpoint and the encoder.")
]
Objectives = Annotated[
    str,
    typer.Option(
        help="Names and weights, as masking:1,context:0.5: masking, bonds, structure, edges, context, "
        "infomax, contrastive, descriptors, fingerprints, labels, distillation."
    ),
]
Features = Annotated[str, typer.Option(help="Atom and bond codes: ogb or snap.")]
Init = Annotated[str | None, typer.Option(help="Encoder to start from: default, or a folder.")]
Teacher = Annotated[
    str | None,
    typer.Option(help="Encoder to learn from, for the objective distillation: default, or a folder."),
]
Positive = Annotated[int, typer.Option(min=1)]
Knowledge = Annotated[str, typer.Option(help="last, sum, max or concat: which layers make the vector.")]
BatchSize = Annotated[int, typer.Option(min=2, help="Molecules of a step, in all.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Parts in which a process computes its share.")]
Rate = Annotated[float, typer.Option(min=0.0)]
Sample = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the rows to use.")]
Elements = Annotated[str, typer.Option(help="Only molecules of these, as C,N,O,S.", show_default="all")]
Atoms = Annotated[int, typer.Option(min=1, help="Heavy atoms of a molecule.")]
Labels = Annotated[
    list[Path] | None,
    typer.Option(help="Table with labels, for the objective labels; may be given several times."),
]
LabelColumns = Annotated[str, typer.Option(help="a,b,c or CHEMBL*,!CHEMBL4822; found if not given.")]
LeaveOut = Annotated[
    bool,
    typer.Option("--leave-out-benchmarks", help="Drop MoleculeNet's test molecules; always with labels."),
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the MoleculeNet files.")]


def pretrain(
    corpus: Corpus,
    out: Out,
    objectives: Objectives = "masking:1,descriptors:1,fingerprints:1",
    context_mode: ContextMode = ContextMode.cbow,
    features: Features = "ogb",
    init: Init = None,
    teacher: Teacher = None,
    layers: Positive = 5,
    width: Positive = 300,
    jk: Knowledge = "last",
    epochs: Positive = 2,
    batch_size: BatchSize = 256,
    accumulate: Accumulate = 1,
    learning_rate: Rate = 1e-3,
    sample: Sample = 1.0,
    elements: Elements = "",
    fewest_atoms: Atoms = 1,
    most_atoms: Atoms = 100,
    labels: Labels = None,
    label_columns: LabelColumns = "",
    leave_out_benchmarks: LeaveOut = False,
    data_dir: DataDir = None,
    precision: Precision = PrecisionName.auto,
    memory: Memory = None,
    device: Device = "auto",
    seed: Seed = 0,
    workers: Workers = None,
    resume: Resume = False,
) -> None:
    """Pre-train an encoder on a corpus of SMILES.

    On several GPUs or machines, start it with torchrun: torchrun --nproc-per-node 4 -m molft pretrain ...
    """
    with friendly_errors():
        from molft.train.pretrain_config import PretrainConfig
        from molft.use.console import ConsoleReporter
        from molft.use.corpus import CorpusOptions, pretrain_on_files

        shape = partial(PretrainConfig, layers=layers, width=width, jk=jk, context_mode=context_mode.value)
        config = shape(
            _weights(objectives),
            epochs=epochs,
            batch_size=batch_size,
            parts=accumulate,
            learning_rate=learning_rate,
            precision=precision.value,
            seed=seed,
        )
        filters = partial(CorpusOptions, fewest_atoms=fewest_atoms, most_atoms=most_atoms)
        options = filters(
            features=features,
            sample=sample,
            elements=_names(elements),
            labels=tuple(labels or ()),
            label_columns=_names(label_columns),
            leave_out_benchmarks=leave_out_benchmarks,
            data_dir=data_dir,
            workers=count_workers(workers),
        )
        begin = partial(pretrain_on_files, init=init, teacher=teacher, resume=resume)
        begin = partial(begin, device=find_device(device), memory=count_bytes(memory))
        begin(corpus, out, config, options, reporter=ConsoleReporter())


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _weights(text: str) -> dict[str, float]:
    """``masking:1,descriptors:0.5`` as names and weights; a name alone weighs 1."""
    out = {}
    for item in text.split(","):
        name, _, weight = item.strip().partition(":")
        try:
            out[name] = float(weight or 1)
        except ValueError as error:
            raise typer.BadParameter(f"--objectives {item}: the weight must be a number") from error
    return out
