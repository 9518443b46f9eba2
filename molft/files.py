"""Files that are whole or absent, with digests, and cells that are safe in a spreadsheet."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from molft.errors import MolftError

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# What a spreadsheet may take for a formula (CWE-1236; OWASP ASVS 1.2.10, with LF and the full-width
# forms of = + - @ that Excel folds), and the apostrophe that marks a cell as text.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")
_FIRST = frozenset("'=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[+-]|[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; it takes the name ``path`` when all went well.

    The data is on the disk before the name changes, so a reader, a kill or a power cut meets the old
    file or the new one, never a part. On an error the temporary file goes and ``path`` is as it was; a
    killed process can leave a file named ``.tmp-*``, which is safe to delete. The temporary path has the
    ending of ``path``, for writers that choose the format by it. A full disk, a missing folder and a
    target that is no regular file are a :class:`MolftError`.
    """
    target = Path(path).resolve()
    temporary = _create_beside(target)
    try:
        yield temporary
        synchronise(temporary)
        os.replace(temporary, target)  # noqa: PTH105  (Path.replace hides that this is the atomic call)
        synchronise(target.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            raise MolftError(
                f"{path}: can't be written: {os.strerror(error.errno)}; free some space and run again"
            ) from error
        raise


def _create_beside(target: Path) -> Path:
    """Make an empty file of a new name in the folder of ``target``, with the permissions of a new file."""
    if target.exists() and not target.is_file():
        raise MolftError(f"{target}: can't be written: it is not a regular file; give the name of a file")
    # The end of the name is kept: it holds the suffixes, and the whole may be as long as the system allows.
    temporary = target.with_name(f".tmp-{secrets.token_hex(6)}-{target.name[-100:]}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise MolftError(f"{target}: can't be written: {error.strerror} ({target.parent})") from error
    return temporary


def synchronise(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no way to synchronise a folder
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write a whole file or nothing (see :func:`atomic`); text is written as UTF-8, as it stands."""
    with atomic(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def sha256(path: str | Path) -> str:
    """Fingerprint of a file's bytes, 64 hexadecimal digits; a file that can't be read gives MolftError."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MolftError(f"{path}: can't be read: {error.strerror}") from error


def write_json(path: str | Path, value: object) -> None:
    """Write a value as JSON that people can read and compare line by line, whole or not at all.

    NaN and infinity are not JSON and give ``ValueError``: what has no number is written as ``None``.
    """
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:  # noqa: ANN401  (JSON holds anything; the caller checks its shape)
    """Read what :func:`write_json` wrote; anything that is not JSON is a MolftError with its place."""
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        raise MolftError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise MolftError(f"{path}: not a JSON file: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def safe_cell(text: str) -> str:
    """Make a CSV cell that no spreadsheet runs as a formula; :func:`plain_cell` gives the text back.

    A cell that starts with ``=``, ``+``, ``-``, ``@``, a tab, a line end or NUL gets an apostrophe in
    front, unless it is a number or a lone sign. So does a cell that already looks so marked.

    >>> [safe_cell(text) for text in ("=1+1", "-5.2", "-", "'=x", "CCO")]
    ["'=1+1", '-5.2', '-', "''=x", 'CCO']
    """
    if text[:1] not in _FIRST or not _FORMULA.match(text) or _NUMBER.fullmatch(text):
        return text
    return "'" + text


def plain_cell(text: str) -> str:
    """Undo :func:`safe_cell`; every other text is returned as it is.

    >>> [plain_cell(text) for text in ("'=1+1", "''=x", "'quoted'", "-5.2")]
    ['=1+1', "'=x", "'quoted'", '-5.2']
    """
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text
