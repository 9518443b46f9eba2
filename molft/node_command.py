"""The command ``molft node-finetune``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molft.command import Device, Seed, count_bytes, find_device, friendly_errors

if TYPE_CHECKING:
    from molft.use.nodes import NodeOptions


class Labels(StrEnum):
    """How many labels a node may have."""

    auto = "auto"
    single = "single"
    multi = "multi"


class Normalise(StrEnum):
    """How attributes are scaled."""

    auto = "auto"
    rows = "rows"
    columns = "columns"
    none = "none"


File = Annotated[Path, typer.Argument(help="A .mat (old or HDF5) or .npz file: links, attributes, labels.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for model, scores and predictions.")]
Target = Annotated[
    Path | None, typer.Option(help="Another network: train on the first, predict and score this one.")
]
NodeEncoder = Annotated[
    str,
    typer.Option(
        help="'propagation'; 'default' or a folder: the layers of that molecular encoder; "
        "'none': the same from scratch."
    ),
]
Frozen = Annotated[bool, typer.Option("--frozen", help="Keep the weights of the encoder's layers.")]
Layers = Annotated[
    int | None, typer.Option(min=1, max=10, help="Hops.", show_default="4, of a molecular encoder 2")
]
Width = Annotated[int, typer.Option(min=1, help="Of the projected attributes (propagation).")]
LabelsOption = Annotated[Labels, typer.Option(help="single: a node's first label counts.")]
TrainFraction = Annotated[float, typer.Option(help="Share of the labelled nodes to learn from.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over these.")]
BatchSize = Annotated[int, typer.Option(min=2, help="Labelled nodes in a step.")]
Rate = Annotated[float, typer.Option(min=0, help="Of the encoder's layers a tenth.")]
NormaliseOption = Annotated[
    Normalise, typer.Option(help="auto: rows of sparse or whole numbers, else columns.")
]
Baselines = Annotated[bool, typer.Option(help="Also score logistic regressions on the same split.")]
Key = Annotated[str | None, typer.Option(help="Found by usual names if not given.")]
Memory = Annotated[str | None, typer.Option(help="Stay below, as 4GB; the plan is told.")]


def node_finetune(
    network: File,
    out: Out,
    target: Target = None,
    encoder: NodeEncoder = "propagation",
    frozen: Frozen = False,
    layers: Layers = None,
    width: Width = 128,
    labels: LabelsOption = Labels.auto,
    train_fraction: TrainFraction = 0.1,
    epochs: Epochs = 3,
    batch_size: BatchSize = 32,
    learning_rate: Rate = 0.01,
    normalise: NormaliseOption = Normalise.auto,
    baselines: Baselines = True,
    network_key: Key = None,
    attributes_key: Key = None,
    labels_key: Key = None,
    memory: Memory = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Fine-tune on the labelled nodes of one large network, with sampled neighbours; predict all nodes."""
    with friendly_errors():
        from molft.use.nodes import NodeOptions

        options = NodeOptions(
            encoder=encoder,
            frozen=frozen,
            layers=layers,
            width=width,
            labels=labels.value,
            train_fraction=train_fraction,
            epochs=epochs,
            batch_size=batch_size,
            rate=learning_rate,
            normalise=normalise.value,
            baselines=baselines,
            seed=seed,
            device=find_device(device),
            memory=count_bytes(memory),
        )
        _run(network, target, out, (network_key, attributes_key, labels_key), options)


def _run(
    file: Path,
    target: Path | None,
    out: Path,
    keys: tuple[str | None, str | None, str | None],
    options: NodeOptions,
) -> None:
    from molft.data.network_files import read_network
    from molft.errors import MolftError
    from molft.train.resident import is_out_of_memory
    from molft.use.console import ConsoleReporter
    from molft.use.node_files import check_free, write_result
    from molft.use.node_table import node_score_table
    from molft.use.nodes import finetune_nodes

    check_free(out)
    source = read_network(file, *keys)
    other = None if target is None else read_network(target, *keys, source.classes, need_labels=False)
    with ConsoleReporter() as reporter:
        try:
            result = finetune_nodes(source, options, other, reporter)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise MolftError(
                "the memory is full; --memory with what this machine has plans for it, a smaller --width or "
                "--batch-size needs less"
            ) from error
        write_result(result, other or source, out)
        reporter.console.print(node_score_table(result.record))
        reporter.line(
            f"labels and probabilities of every node: {out / 'predictions.csv'}\n"
            f"scores and plan: {out / 'metrics.json'}\n"
            f"for another network with these attributes, in Python: "
            f"molft.use.node_model.load_node_model({str(out)!r}).predict(read_network(FILE))"
        )
