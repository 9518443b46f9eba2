"""Files to lines: decompression, encoding and line ends, found from the bytes and never assumed."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from molft.errors import MolftError

_LINE_CHARACTERS = 1 << 20


def open_binary(path: Path, stack: ExitStack) -> IO[bytes]:
    """Open a file for as long as the stack lives, decompressed; a folder is a :class:`MolftError`."""
    if path.is_dir():
        raise MolftError(f"{path}: a folder; expected a file (only parquet files are read by the folder)")
    try:
        raw = stack.enter_context(path.open("rb"))
    except OSError as error:
        raise MolftError(f"{path}: can't be opened ({error.strerror})") from error
    return decompress(raw, stack)


def decompress(raw: IO[bytes], stack: ExitStack) -> IO[bytes]:
    """Undo gzip, bzip2 or xz, told by the first bytes, so that a wrong file ending does not matter."""
    magic = raw.peek(6)[:6]  # type: ignore[attr-defined]  # files and standard input are both buffered
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=raw)))
    if magic.startswith(b"BZh"):
        return stack.enter_context(bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ"):
        return stack.enter_context(lzma.LZMAFile(raw))
    return raw


def read_lines(stream: IO[bytes], where: str, stack: ExitStack) -> Iterator[str]:
    """Decode lines, each with its line end (LF, CRLF or CR).

    UTF-8 with or without BOM, UTF-16 with BOM; bytes that are no UTF-8 are read as Windows-1252.
    A NUL character, or a line of a million characters, is no text: a :class:`MolftError`.
    """
    start = stream.peek(2)[:2]  # type: ignore[attr-defined]
    wide = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding, errors = ("utf-16", "strict") if wide else ("utf-8-sig", "molft-windows")
    text = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")
    # Otherwise the wrapper closes standard input behind the caller's back.
    stack.callback(text.detach)
    return _bounded(iter(lambda: text.readline(_LINE_CHARACTERS), ""), where)


def _bounded(lines: Iterable[str], where: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise MolftError(f"{where}, line {number}: a NUL character; this is a binary file, not text")
        if len(line) >= _LINE_CHARACTERS:
            raise MolftError(f"{where}, line {number}: over {_LINE_CHARACTERS - 1} characters; not a table")
        yield line


def _windows_bytes(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are no UTF-8 as Windows-1252, the superset of Latin-1 that lab software writes."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    try:
        return wrong.decode("cp1252"), error.end
    except UnicodeDecodeError:  # five bytes have no meaning there; Latin-1 has one for every byte
        return wrong.decode("latin-1"), error.end


codecs.register_error("molft-windows", _windows_bytes)
