"""The command line: parse, call one function, print.

Heavy imports stand inside the commands, so that ``molft --help`` answers at once. Exit codes: 0 done,
1 the data can't be used (the message says why), 2 wrong usage.
"""

from __future__ import annotations

import atexit
import gc
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from molft.command import (
    Device,
    Encoder,
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
from molft.export_command import export
from molft.node_command import node_finetune
from molft.pretrain_command import pretrain
from molft.reproduce_command import reproduce

Library = Annotated[
    list[str],
    typer.Argument(
        help="Files (csv, smi, sdf, parquet, .gz, ...), folders, 'patterns*', or '-' for standard input."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]

app = typer.Typer(
    help="Predict molecular properties from SMILES, starting from a pre-trained graph network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


# Importing torch makes a million objects, and Python would search them for cycles every 700.
_COLLECT_EVERY = 50_000


class TaskType(StrEnum):
    """What the labels are."""

    auto = "auto"
    classification = "classification"
    regression = "regression"


class Strategy(StrEnum):
    """What is trained."""

    auto = "auto"
    frozen = "frozen"
    gradual = "gradual"
    full = "full"
    lp_ft = "lp-ft"
    l2_sp = "l2-sp"
    wise_ft = "wise-ft"
    lora = "lora"
    adapter = "adapter"


class Loss(StrEnum):
    """What is minimised."""

    auto = "auto"
    bce = "bce"
    weighted = "weighted"
    focal = "focal"
    huber = "huber"


class Engine(StrEnum):
    """Where a library is screened."""

    local = "local"
    ray = "ray"


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the demo's files.")] = Path(
        "molft-demo"
    ),
    seed: Seed = 0,
    workers: Workers = None,
) -> None:
    """Fine-tune on a real assay, screen 5,000 compounds with the model, and show what came out."""
    with friendly_errors():
        from molft.use.demo import write_demo_files

        assay, library = write_demo_files(out)
        _finetune(assay, out / "model", resume=False, seed=seed, workers=count_workers(workers))
        ranked = out / "ranked.csv"
        _screen(library, out / "model", ranked, top=100, workers=count_workers(workers))
        typer.echo(_head(ranked, 6))
        typer.echo(f"model: {out / 'model'}  (read report.html there)\nranked library: {ranked}")


@app.command()
def finetune(
    assay: Annotated[
        Path, typer.Argument(help="Table with SMILES and labels: csv, tsv, xlsx, sdf, parquet, ...")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the model.")],
    smiles_column: Annotated[str | None, typer.Option(help="Found by name or content if not given.")] = None,
    target_columns: Annotated[str | None, typer.Option(help="Label columns, a,b,c or CHEMBL*.")] = None,
    task_type: TaskType = TaskType.auto,
    encoder: Encoder = "default",
    split: Annotated[
        str, typer.Option(help="auto, scaffold, balanced, random, stratified, butina, or a column.")
    ] = "auto",
    split_sizes: Annotated[str, typer.Option(help="Shares of train, validation and test.")] = "0.8,0.1,0.1",
    strategy: Annotated[
        Strategy, typer.Option(help="What is trained when; auto goes by the labels.")
    ] = Strategy.auto,
    loss: Annotated[
        Loss, typer.Option(help="auto takes focal for rare classes if it proves better.")
    ] = Loss.auto,
    oversample: Annotated[
        bool, typer.Option("--oversample", help="Show rare classes as often as others.")
    ] = False,
    ensemble_size: Annotated[
        int | None,
        typer.Option(min=1, max=50, help="Networks that are averaged.", show_default="3, 1 for large tables"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Those of a head alone come on top.", show_default="by the plan")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, show_default="by the plan")] = None,
    max_atoms: Annotated[int, typer.Option(min=1, help="Larger molecules are refused.")] = 500,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = PrecisionName.auto,
    memory: Memory = None,
    workers: Workers = None,
    resume: Resume = False,
) -> None:
    """Fine-tune the encoder on an assay; report it beside a random forest and a Gaussian process."""
    with friendly_errors():
        _finetune(
            assay,
            out,
            resume=resume,
            smiles_column=smiles_column,
            target_columns=tuple(name.strip() for name in (target_columns or "").split(",") if name.strip()),
            task_type=task_type.value,
            encoder=encoder,
            split=split,
            split_sizes=_sizes(split_sizes),
            strategy=strategy.value,
            loss=loss.value,
            oversample=oversample,
            ensemble_size=ensemble_size or 0,
            epochs=epochs,
            batch_size=batch_size,
            max_atoms=max_atoms,
            seed=seed,
            device=find_device(device),
            precision=precision.value,
            workers=count_workers(workers),
            memory=count_bytes(memory),
        )


def _finetune(assay: Path, out: Path, *, resume: bool, **chosen: Any) -> None:  # noqa: ANN401  (fields of Options)
    from molft.use.assay import finetune as run
    from molft.use.console import ConsoleReporter
    from molft.use.options import Options
    from molft.use.score_table import score_table

    with ConsoleReporter() as reporter:
        model, evaluation = run(assay, out, Options(**chosen), reporter=reporter, resume=resume)
        reporter.console.print(score_table(evaluation, model.about))
        reporter.line(f"model, scores, predictions and report.html: {out}")


@app.command()
def screen(
    library: Library,
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder made by molft finetune.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="CSV, parquet, or with --top SDF; without ending a folder of parts."
        ),
    ],
    top: Annotated[int | None, typer.Option(min=1, help="Only the N best, ranked.")] = None,
    by: Annotated[str | None, typer.Option(help="Task to rank by.", show_default="the first")] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="Lowest values first.")] = False,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="With --top: the best of each Murcko scaffold.")
    ] = False,
    per_scaffold: Annotated[
        int | None, typer.Option(min=1, help="With --diverse: so many of each.", show_default="1")
    ] = None,
    spread: Annotated[
        bool, typer.Option("--spread", help="Also how far the networks disagree (TASK_spread).")
    ] = False,
    similarity: Annotated[
        bool, typer.Option("--similarity", help="Also the nearest training molecule, and how near it is.")
    ] = False,
    smiles_column: Annotated[str | None, typer.Option(help="Found by name or content if not given.")] = None,
    memory: Memory = None,
    precision: Annotated[
        PrecisionName,
        typer.Option(help="auto takes bf16, nearly the same, where the processor has units for it."),
    ] = PrecisionName.auto,
    workers: Workers = None,
    engine: Annotated[
        Engine, typer.Option(help="This machine's processes, or a Ray cluster.")
    ] = Engine.local,
    ray_address: Annotated[
        str | None,
        typer.Option(help="'auto', HOST:PORT or ray://HOST:PORT.", show_default="start one on this machine"),
    ] = None,
    ray_gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU for each Ray task.")] = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Predict for every row of a library, in order, or for the best ones, ranked."""
    with friendly_errors():
        _screen(
            library,
            model,
            out,
            top=top,
            by=by,
            ascending=ascending,
            diverse=diverse,
            per_scaffold=per_scaffold,
            spread=spread,
            similarity=similarity,
            smiles_column=smiles_column,
            workers=count_workers(workers),
            memory=count_bytes(memory),
            precision=precision.value,
            ray=_cluster(engine, ray_address, ray_gpus),
            resume=resume,
            overwrite=overwrite,
        )


def _cluster(engine: Engine, address: str | None, gpus: float) -> Any:  # noqa: ANN401  (Cluster or None)
    if engine is Engine.ray:
        from molft.use.ray_engine import Cluster

        return Cluster(address, gpus)
    if address is not None or gpus:
        raise typer.BadParameter("--ray-address and --ray-gpus are of --engine ray; give it too")
    return None


def _screen(library: list[str] | Path, model: Path, out: Path, **chosen: Any) -> None:  # noqa: ANN401
    from molft.use.ahead import read_ahead

    # What goes by a budget, a cluster or finished parts can't begin before these are known.
    waits = any(chosen.get(name) for name in ("memory", "ray", "resume"))
    workers, column = 0 if waits else chosen["workers"], chosen.get("smiles_column")
    with read_ahead(library, model, workers, column, chosen.get("similarity", False)) as ahead:
        from molft.use.console import ConsoleReporter  # these import torch
        from molft.use.screen import screen as run

        with ConsoleReporter() as reporter:
            chosen |= {"progress": reporter.progress, "tell": reporter.line, "ahead": ahead}
            summary = run(model, library, out, **chosen)
            reporter.line(summary.text())


@app.command()
def embed(
    library: Library,
    out: Annotated[Path, typer.Option("-o", "--out", help="npz or parquet, by its ending.")],
    encoder: Encoder = "default",
    smiles_column: Annotated[str | None, typer.Option(help="Found by name or content if not given.")] = None,
    memory: Memory = None,
    precision: Annotated[
        PrecisionName, typer.Option(help="bf16 is faster where the processor has units for it, by 1 % off.")
    ] = PrecisionName.float32,
    workers: Workers = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the encoder's vector of every molecule."""
    with friendly_errors():
        from molft.use.console import ConsoleReporter
        from molft.use.embed import embed as run

        with ConsoleReporter() as reporter:
            summary = run(
                library,
                out,
                encoder=encoder,
                smiles_column=smiles_column,
                workers=count_workers(workers),
                memory=count_bytes(memory),
                precision=precision.value,
                tell=reporter.line,
                resume=resume,
                overwrite=overwrite,
                progress=reporter.progress,
            )
            reporter.line(summary.text())


app.command()(export)
app.command("node-finetune")(node_finetune)
app.command()(pretrain)
app.command()(reproduce)


@app.command("import-snap")
def import_snap(
    file: Annotated[Path, typer.Argument(help="A released SNAP checkpoint, .pth.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the encoder.")],
    conv: Annotated[
        str | None, typer.Option(help="gin, gcn, graphsage or gat, if the name doesn't say.")
    ] = None,
) -> None:
    """Turn a released SNAP checkpoint into a molft encoder."""
    with friendly_errors():
        from molft.files import sha256
        from molft.model.weights import import_snap as read
        from molft.model.weights import save_encoder

        encoder = read(file, conv)
        save_encoder(
            encoder, out, {"source": file.name, "sha256": sha256(file), "method": "Hu, Liu et al., ICLR 2020"}
        )
        count = sum(p.numel() for p in encoder.parameters())
        typer.echo(f"{encoder.config.conv}, {encoder.config.layers} layers, {count:,} parameters: {out}")


@app.command()
def info(
    directory: Annotated[str, typer.Argument(help="A model or encoder folder, or 'default' or 'small'.")],
) -> None:
    """Say what a model is, what it was trained on, and how it scored."""
    with friendly_errors():
        from molft.use.info import describe

        typer.echo(describe(directory))


def _sizes(text: str) -> tuple[float, float, float]:
    try:
        train, valid, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"--split-sizes {text}: expected three numbers such as 0.8,0.1,0.1"
        ) from error
    return train, valid, test


def _head(path: Path, lines: int) -> str:
    with path.open() as file:
        return "".join(line for _, line in zip(range(lines), file, strict=False)).rstrip()


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_COLLECT_EVERY)
    # At its end Python searches torch's million objects for cycles: a third of a second, for nothing.
    atexit.register(gc.freeze)
    sys.exit(app())
