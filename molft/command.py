"""What the commands share: options of one meaning everywhere, and errors told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer


class PrecisionName(StrEnum):
    """Of the layers' arithmetic while training."""

    auto = "auto"
    float32 = "float32"
    bf16 = "bf16"


Encoder = Annotated[str, typer.Option(help="'default' or 'small' (shipped with molft), 'none', or a folder.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
Device = Annotated[str, typer.Option(help="'auto', 'cpu', 'cuda' or 'cuda:1'.")]
Precision = Annotated[
    PrecisionName,
    typer.Option(help="Of training; auto takes bf16 where the processor has units for it, else float32."),
]
Workers = Annotated[int | None, typer.Option(help="Processes that read molecules.", show_default="all cores")]
Memory = Annotated[
    str | None,
    typer.Option(help="Keep within this much, as 4GB: of the GPU's memory, or else resident."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")]


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn errors a user can mend into one line and exit code 1; Ctrl-C into exit code 130."""
    from molft.errors import MolftError

    try:
        yield
    except MolftError as error:
        typer.echo(f"molft: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("molft: interrupted; --resume goes on from here where the command has it", err=True)
        raise typer.Exit(130) from error


def count_bytes(memory: str | None) -> int | None:
    """The bytes of an amount such as 4GB, None for none; what is no amount is a :class:`MolftError`."""
    from molft.use.memory import parse_memory

    return None if memory is None else parse_memory(memory)


def count_workers(asked: int | None) -> int:
    """The number that was asked for, or else of the cores this process may use."""
    from molft.chem.worker import count_cores

    return count_cores() if asked is None else asked


def find_device(name: str) -> str:
    """The device that "auto" means here; CUDA where torch sees none is a :class:`MolftError`."""
    import torch

    from molft.errors import MolftError

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise MolftError(f"--device {name}: torch sees no CUDA device here; use --device cpu")
    return name
