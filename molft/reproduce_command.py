"""The command ``molft reproduce``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from molft.command import (
    Device,
    Precision,
    PrecisionName,
    Resume,
    count_workers,
    find_device,
    friendly_errors,
)


class Protocol(StrEnum):
    """How a set is fine-tuned."""

    molft = "molft"
    snap = "snap"


Sets = Annotated[
    list[str] | None,
    typer.Argument(
        help="bbbp tox21 toxcast sider clintox muv hiv bace esol freesolv lipophilicity ogbg-molhiv "
        "ogbg-molpcba; without any the first eleven, which takes hours."
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for records, table and plot.")]
ProtocolOption = Annotated[
    Protocol,
    typer.Option(
        help="molft: our plan, ensemble and blend. snap: that of Hu, Liu et al. 2020, to the number."
    ),
]
Encoder = Annotated[str, typer.Option(help="'default', 'small', 'none', or a folder; its features are used.")]
Seeds = Annotated[
    int | None, typer.Option(min=1, help="Seeds 0 to N-1; 3 in molft and 10 in snap if not given.")
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="If not given, by the plan in molft and 100 in snap.")
]
Ensemble = Annotated[
    int | None,
    typer.Option(min=1, max=50, help="Networks of a seed in molft; if not given, by the size of the set."),
]
Trees = Annotated[int, typer.Option(min=1, help="Trees of the forest beside every set.")]
Rows = Annotated[int | None, typer.Option(min=2, help="Only the first N of each part, to try it out.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the files; else they are downloaded.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Seeds that run at once; if not given, as many as cores.")
]


def reproduce(
    sets: Sets = None,
    out: Out = Path("molft-reproduce"),
    protocol: ProtocolOption = Protocol.molft,
    encoder: Encoder = "default",
    seeds: Seeds = None,
    epochs: Epochs = None,
    ensemble_size: Ensemble = None,
    trees: Trees = 500,
    rows: Rows = None,
    data_dir: DataDir = None,
    jobs: Jobs = None,
    device: Device = "auto",
    precision: Precision = PrecisionName.auto,
    resume: Resume = False,
) -> None:
    """Run MoleculeNet sets on the published split; print ours beside the papers' and a forest."""
    with friendly_errors():
        from molft.data.moleculenet import SETS
        from molft.use.console import ConsoleReporter
        from molft.use.protocols import Setting
        from molft.use.reproduce import reproduce as run
        from molft.use.reproduce_table import results_table, summarize

        cores, where = max(1, count_workers(None)), find_device(device)
        together = jobs or (cores if where == "cpu" else 1)
        setting = Setting(
            protocol.value,
            encoder,
            epochs,
            ensemble_size or 0,
            trees,
            where,
            precision.value,
            workers=max(1, cores // together),
        )
        with ConsoleReporter() as reporter:
            records = run(
                sets or list(SETS),
                out,
                setting,
                seeds=seeds,
                jobs=together,
                cores=cores,
                data_dir=data_dir,
                rows=rows,
                resume=resume,
                reporter=reporter,
            )
            reporter.close()
            reporter.console.print(results_table(summarize(records)))
            reporter.line(f"records, table and plot: {out}")
