"""Atomic writes, digests, JSON and spreadsheet cells."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molft import files
from molft.errors import MolftError


def test_write_atomic_writes_text_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_atomic(path, "µM\r\nΔG\n")
    assert path.read_bytes() == b"\xc2\xb5M\r\n\xce\x94G\n"
    files.write_atomic(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_atomic_keeps_the_ending_for_writers_that_look_at_it(tmp_path: Path) -> None:
    with files.atomic(tmp_path / "hits.csv.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".tmp-")
        assert temporary.name.endswith("hits.csv.gz")


def test_atomic_gives_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    files.write_atomic(tmp_path / "atomic", b"")
    assert stat.S_IMODE((tmp_path / "atomic").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_atomic_writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.write_atomic(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_atomic_takes_the_longest_name_the_system_allows(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / ("x" * 255), "content")
    assert (tmp_path / ("x" * 255)).read_text() == "content"


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(type(error)), files.atomic(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise error
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def test_a_full_disk_while_synchronising_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MolftError, match=r"No space left on device; free some space"):
        files.write_atomic(tmp_path / "a", "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


FILL = """
import resource, signal, sys
from molft.errors import MolftError
from molft.files import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    write_atomic(sys.argv[1], bytes(4 << 20))
except MolftError as error:
    print(error)
"""


def test_a_write_the_system_cuts_off_leaves_the_old_file(tmp_path: Path) -> None:
    """The kernel itself stops the write after 1 MiB, as a full disk would."""
    (tmp_path / "a").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path / "a")], capture_output=True, text=True, check=True
    )
    assert "can't be written: File too large" in done.stdout
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


WRITE_FOR_EVER = """
import sys
from molft.files import write_atomic
for number in range(1 << 30):
    write_atomic(sys.argv[1], f"{number % 10}" * 300_000)
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    for writes_before in (1, 2, 3):
        path = tmp_path / f"{writes_before}"
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(writes_before):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        content = path.read_text()
        assert len(content) == 300_000 and len(set(content)) == 1
        assert all(p.name.startswith(".tmp-") for p in tmp_path.iterdir() if len(p.name) > 1)


def test_atomic_refuses_a_missing_folder_and_a_folder_as_target(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"No such file or directory"):
        files.write_atomic(tmp_path / "missing" / "a", "x")
    with pytest.raises(MolftError, match=r"not a regular file; give the name of a file"):
        files.write_atomic(tmp_path, "x")
    with pytest.raises(MolftError, match=r"not a regular file"):
        files.write_atomic("/dev/null", "x")


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-4, appendix B.1
    assert files.sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(MolftError, match=r"missing: can't be read: No such file"):
        files.sha256(tmp_path / "missing")


def test_json_comes_back_as_it_went(tmp_path: Path) -> None:
    value = {"task": "pIC50 µM", "scores": [0.1, None, -3], "nested": {"b": True, "a": ""}}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert list(files.read_json(tmp_path / "a.json")) == ["task", "scores", "nested"]
    assert "µM" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"Expecting value: line 1 column 1"),
        (b'{"a": 1,\n}', r"line 2 column 1"),
        (b'{"a": NaN}', r"NaN is not a JSON number"),
        (b"\xff\xfe{", r"can't decode byte 0xff"),
        (b"[" * 100_000, r"recursion"),
    ],
)
def test_read_json_says_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(MolftError, match=message):
        files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+49 89", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1", "＝1", "--1"]
)
def test_a_formula_is_marked_as_text(text: str) -> None:
    assert files.safe_cell(text) == "'" + text


@pytest.mark.parametrize(
    "text", ["", "CCO", "-5", "+1.5", "-1e-9", "-5,2", "-.5", "-", "+", "[Na+].[Cl-]", "it's", "'a'", " =1"]
)
def test_numbers_and_ordinary_text_stay(text: str) -> None:
    assert files.safe_cell(text) == text


@given(st.text(alphabet="'=+-@\t\r\n\0＝1.aC", max_size=6) | st.text())
def test_every_cell_comes_back(text: str) -> None:
    safe = files.safe_cell(text)
    assert files.plain_cell(safe) == text
    assert safe[:1] not in set("=@\t\r\n\0＝")
