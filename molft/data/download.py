"""One file from the network, known by its SHA-256 before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from molft.errors import MolftError
from molft.files import atomic, sha256

_TIMEOUT_S = 30
_BLOCK = 1 << 20
# Not OSError: a full disk must not read as a broken network.
_NETWORK = (URLError, ConnectionError, TimeoutError, HTTPException)


def check_sha256(path: Path, known: Sequence[str]) -> None:
    """`MolftError` that names both fingerprints unless the file is one of the known copies."""
    found = sha256(path)
    if found not in known:
        raise MolftError(
            f"{path}: not the file this version of molft knows: its sha256 is {found}, expected "
            f"{' or '.join(known)}. Delete it to have the known copy downloaded."
        )


def download(url: str, path: Path, known: Sequence[str]) -> Path:
    """Fetch `url` to `path`, which appears only once its SHA-256 is one of `known`.

    A host that can't be reached, a file of other content and a folder that can't be made raise `MolftError`;
    none of them leaves a file behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MolftError(
            f"{path.parent}: can't be made: {error.strerror}; choose another data folder"
        ) from error
    with atomic(path) as temporary:
        try:
            _fetch(url, temporary)
        except _NETWORK as error:
            raise MolftError(
                f"{path.name} could not be downloaded from {url} ({getattr(error, 'reason', error)}). "
                f"Offline? Download it on another machine and put it at {path}."
            ) from error
        found = sha256(temporary)
        if found not in known:
            raise MolftError(
                f"{url} gave another file than expected: sha256 {found}, expected {' or '.join(known)}. "
                f"Nothing was kept. Get the file from its authors and put it at {path}."
            )
    return path


def _fetch(url: str, path: Path) -> None:
    with urlopen(url, timeout=_TIMEOUT_S) as reply, path.open("wb") as file:  # noqa: S310  (own table)
        expected = reply.headers.get("Content-Length")
        while block := reply.read(_BLOCK):
            file.write(block)
        if expected is not None and file.tell() != int(expected):
            raise ConnectionError(f"the connection broke after {file.tell()} of {expected} bytes")
