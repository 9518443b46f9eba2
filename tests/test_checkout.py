"""The commit that a record names."""

import subprocess
from pathlib import Path

from molft.use.checkout import find_commit


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(
        ["git", "-C", folder, *who, *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_checkout_s_commit_is_named_and_a_change_marked(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "-q")
    assert find_commit(package) is None  # the file isn't in the repository, as in a virtual environment
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "-q", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert len(head) == 40
    assert find_commit(package) == head
    (tmp_path / "notes.txt").write_text("beside the package, and not tracked")
    (package / "more.py").write_text("not tracked")
    assert find_commit(package) == head
    (package / "__init__.py").write_text("changed = True")
    assert find_commit(package) == f"{head}+"


def test_no_repository_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    assert find_commit(tmp_path) is None
