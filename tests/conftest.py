"""What every test may use: real data where it is there, and the same numbers on every run."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with the real data sets; skip where this machine has none."""
    folder = os.environ.get("MOLFT_DATA", "")
    if not folder:
        pytest.skip("real data: set MOLFT_DATA to the folder that holds moleculenet/, library/ and weights/")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"MOLFT_DATA is {folder!r}, which is not a folder")
    return path
