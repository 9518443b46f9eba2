"""Bytes to lines: encodings, line ends, compression, and what is no text."""

import bz2
import gzip
import io
import lzma
from contextlib import ExitStack
from pathlib import Path

import pytest

from molft.data.streams import open_binary, read_lines
from molft.errors import MolftError

TEXT = "smiles;µ\r\nCCO;1\r\n"


def lines_of(data: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "file"
    path.write_bytes(data)
    with ExitStack() as stack:
        return list(read_lines(open_binary(path, stack), "file", stack))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_encoding_is_found(encoding: str, tmp_path: Path) -> None:
    assert lines_of(TEXT.encode(encoding), tmp_path) == ["smiles;µ\r\n", "CCO;1\r\n"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compression_is_found_by_the_bytes(compress: object, tmp_path: Path) -> None:
    assert lines_of(compress(TEXT.encode()), tmp_path) == ["smiles;µ\r\n", "CCO;1\r\n"]  # type: ignore[operator]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_three_line_ends(end: str, tmp_path: Path) -> None:
    assert [line.rstrip() for line in lines_of(f"a{end}b{end}".encode(), tmp_path)] == ["a", "b"]


def test_windows_bytes_beside_utf8(tmp_path: Path) -> None:
    # \x93 is a quotation mark in Windows-1252; \x81 means nothing there and is kept as Latin-1.
    assert lines_of("µ".encode() + b" \xb5 \x93 \x81\n", tmp_path) == ["µ µ \u201c \x81\n"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04\0\0\n", "line 1: a NUL character"),
        (b"CCO\n" + b"C" * (1 << 20), "line 2: over 1048575 characters"),
    ],
)
def test_no_text_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=message):
        lines_of(data, tmp_path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack, pytest.raises(MolftError, match="a folder; expected a file"):
        open_binary(tmp_path, stack)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with ExitStack() as stack, pytest.raises(MolftError, match="can't be opened \\(Permission denied\\)"):
        open_binary(tmp_path / "x.csv", stack)


def test_standard_input_stays_open() -> None:
    stream = io.BufferedReader(io.BytesIO(b"CCO\n"))
    with ExitStack() as stack:
        assert list(read_lines(stream, "standard input", stack)) == ["CCO\n"]
    assert not stream.closed
