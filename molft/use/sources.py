"""Which files a library is, and their rows as one table: of a file, several, folders, patterns, or a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path

from molft.data.formats import TextBlock, file_kind, read_texts
from molft.errors import MolftError
from molft.files import sha256

Given = str | Path | Sequence[str | Path]
"""A library as a user names it: a file, a folder, a pattern such as ``parts/*.smi.gz``, '-', or several."""


def find_files(library: Given) -> list[Path]:
    """The files that a library consists of, each once, sorted by name; ``[Path("-")]`` for standard input.

    A folder stands for the files in it (hidden ones and folders left out), a pattern for the files that it
    matches (``**`` for any folders). A file of unknown kind, in a folder too, a pattern without a match, and
    standard input beside files is a :class:`MolftError`: no row of a library is left out silently.
    """
    given = [library] if isinstance(library, str | Path) else list(library)
    if not given:
        raise MolftError("no library: name a file, a folder or a pattern")
    if any(str(one) == "-" for one in given):
        if len(given) > 1:
            raise MolftError("standard input ('-') can't be one of several libraries; give it alone")
        return [Path("-")]
    return sorted({file for one in given for file in _expand(Path(one))}, key=str)


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        files = [file for file in path.iterdir() if file.is_file() and not file.name.startswith((".", "_"))]
        if not files:
            raise MolftError(f"{path}: a folder without files")
        _check_kinds(path, files)
        return files
    if path.exists() or not has_magic(str(path)):
        return [path]  # one that is missing, or of unknown kind, is told by reading it
    # Path.glob has no absolute patterns.
    files = [Path(name) for name in glob(str(path), recursive=True) if Path(name).is_file()]  # noqa: PTH207
    if not files:
        raise MolftError(f"{path}: no file matches this pattern")
    return files


def _check_kinds(folder: Path, files: Sequence[Path]) -> None:
    unknown = []
    for file in files:
        try:
            file_kind(file)
        except MolftError:
            unknown.append(file.name)
    if unknown:
        told = ", ".join(sorted(unknown)[:5]) + (", ..." if len(unknown) > 5 else "")
        raise MolftError(
            f"{folder}: files of unknown kind among the library's: {told}; take them out, or name the "
            f"others by a pattern such as '{folder / '*.smi.gz'}'"
        )


def fingerprint(files: Sequence[Path]) -> str | dict[str, str] | None:
    """The sha256 of a single file, or of each of several by name; None for standard input."""
    if files == [Path("-")]:
        return None
    return sha256(files[0]) if len(files) == 1 else {str(file): sha256(file) for file in files}


def read_headers(files: Sequence[Path]) -> dict[Path, list[str]]:
    """The names of each file's columns; one that can't be read is a :class:`MolftError`, before any work."""
    headers = {}
    for file in files:
        with closing(read_texts(file, rows=1, ragged="keep")) as blocks:
            headers[file] = list(next(blocks).columns)
    return headers


def read_files(headers: Mapping[Path, Sequence[str]], rows: int) -> Iterator[TextBlock]:
    """Read several files as one table, in blocks of ``rows`` that never cross from one file into the next.

    The columns are those of all files, then one that names the file of each row: ``file``, or
    ``source file`` where a file has that already. A cell of a column that the file doesn't have is empty.
    """
    names = list(dict.fromkeys(name for header in headers.values() for name in header))
    source = next(name for name in _source_names() if name not in names)
    for file in headers:
        with closing(read_texts(file, rows=rows, ragged="keep")) as blocks:
            for block in blocks:
                columns = {name: block.columns.get(name) or [""] * len(block) for name in names}
                yield replace(block, columns={**columns, source: [str(file)] * len(block)})


def check_column(headers: Mapping[Path, Sequence[str]], column: str) -> None:
    """Refuse, by a :class:`MolftError`, files of which one lacks the column of the SMILES."""
    for file, names in headers.items():
        if column not in names:
            raise MolftError(
                f"{file}: no column {column!r}, in which {next(iter(headers))} has the SMILES; it has "
                f"{', '.join(map(repr, names))}. Rename it, or screen this file alone"
            )


def _source_names() -> Iterator[str]:
    name = "file"
    while True:
        yield name
        name = f"source {name}"
