"""What every test may use: real data where it is there, and the same numbers on every run."""

import os
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fine-tuned model of one task, ``active``, made in a moment; don't write into its folder."""
    # Here, so that tests without a model don't wait for torch.
    from tiny_model import save_model

    return save_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads gain nothing on tiny networks, and wait for each other on a busy machine."""
    import torch  # here, as above

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
