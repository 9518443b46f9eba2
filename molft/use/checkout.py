"""Which commit of molft a number was made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import molft


def find_commit(folder: Path | None = None) -> str | None:
    """Commit of the checkout that molft (or what is in ``folder``) runs from; None for a release.

    A ``+`` after it says that tracked files of the package differ from it.
    """
    folder = folder or Path(molft.__file__).parent
    try:
        # Not any repository that an installed molft happens to lie in: one that holds this very file.
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
        return _git(folder, "rev-parse", "HEAD").strip() + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603  (fixed words)
        ["git", "-C", str(folder), *arguments],  # noqa: S607  (git, wherever it is)
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
