"""The command ``molft export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from molft.command import friendly_errors


def export(
    model: Annotated[Path, typer.Argument(help="Folder made by molft finetune.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file, *.onnx.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write the networks of a model as one ONNX file (needs the extra: pip install 'molft[onnx]')."""
    with friendly_errors():
        from molft.use.export import export_onnx

        typer.echo(export_onnx(model, out, overwrite=overwrite).text())
