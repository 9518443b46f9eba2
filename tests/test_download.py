"""Downloads from a server on this machine: the right file, another one, half of one, none."""

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from molft.data.download import check_sha256, download
from molft.errors import MolftError

CONTENT = b"smiles,y\nCCO,1\n"
SHA = hashlib.sha256(CONTENT).hexdigest()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


class _Half(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:5])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


def _serve(handler: object) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "good.csv").write_bytes(CONTENT)
    (tmp_path / "site" / "tampered.csv").write_bytes(CONTENT.replace(b"1", b"0"))
    yield from _serve(partial(_Quiet, directory=str(tmp_path / "site")))


@pytest.fixture
def broken_site() -> Iterator[str]:
    yield from _serve(_Half)


def test_the_right_file_arrives_in_a_new_folder(site: str, tmp_path: Path) -> None:
    path = download(f"{site}/good.csv", tmp_path / "a" / "b" / "x.csv", ["0" * 64, SHA])
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["x.csv"]


def test_a_tampered_file_is_refused_with_both_fingerprints_and_not_kept(site: str, tmp_path: Path) -> None:
    found = hashlib.sha256(CONTENT.replace(b"1", b"0")).hexdigest()
    with pytest.raises(MolftError, match=f"sha256 {found}, expected {SHA}"):
        download(f"{site}/tampered.csv", tmp_path / "cache" / "x.csv", [SHA])
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_tampered_file_leaves_an_older_copy_alone(site: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("old")
    with pytest.raises(MolftError, match="another file than expected"):
        download(f"{site}/tampered.csv", tmp_path / "x.csv", [SHA])
    assert (tmp_path / "x.csv").read_text() == "old"


def test_a_missing_page_names_the_address_and_where_to_put_the_file(site: str, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=rf"{site}/none.csv \(File not found\).*put it at {tmp_path}/x.csv"):
        download(f"{site}/none.csv", tmp_path / "x.csv", [SHA])
    assert not (tmp_path / "x.csv").exists()


def test_half_a_file_is_no_file(broken_site: str, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"broke after 5 of 15 bytes|IncompleteRead"):
        download(f"{broken_site}/x.csv", tmp_path / "cache" / "x.csv", [SHA])
    assert list((tmp_path / "cache").iterdir()) == []


def test_offline(tmp_path: Path) -> None:
    with pytest.raises(
        MolftError, match=r"could not be downloaded.*refused.*Offline\? Download it on another machine"
    ):
        download("http://127.0.0.1:9/x.csv", tmp_path / "x.csv", [SHA])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MolftError, match="choose another data folder"):
        download("http://127.0.0.1:9/x.csv", tmp_path / "file" / "x.csv", [SHA])


def test_check_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(CONTENT)
    check_sha256(path, [SHA])
    with pytest.raises(MolftError, match=f"its sha256 is {SHA}, expected {'0' * 64}"):
        check_sha256(path, ["0" * 64])
