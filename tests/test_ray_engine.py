"""Screens on a Ray cluster: the bytes of a screen on one machine, whatever is lost on the way."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_model import MOLECULES
from torch import nn
from typer.testing import CliRunner

import molft
from molft.chem.prepare import Block, Recipe
from molft.cli import app
from molft.errors import MolftError
from molft.use import ray_engine
from molft.use.local_engine import answer_here
from molft.use.question import Question
from molft.use.ray_engine import Cluster, answer_on_ray
from molft.use.screen import screen

BLOCKS = [["CCO", "C1CC"], [], ["c1ccccc1"], ["CC", "CCC", "N"]]


class TaskError(Exception):
    """Ray's error of an exception in a task."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"Traceback ...\n{cause}")
        self.cause = cause


class LostError(Exception):
    """Ray's error of a process or object that is gone for good."""


class FakeRay(ModuleType):
    """Enough of Ray to run every task here, at once, and to tell what was asked of it."""

    exceptions = SimpleNamespace(RayTaskError=TaskError, RayError=LostError)
    util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.7")

    def __init__(self) -> None:
        super().__init__("ray")
        self.calls: list[tuple[str, Any]] = []
        self.fate: Callable[[], None] = lambda: None
        self.versions: dict[str, str] = {}

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: object) -> None:
        self.calls.append(("init", options))

    def shutdown(self) -> None:
        self.calls.append(("shutdown", None))

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    def get_gpu_ids(self) -> list[int]:
        return [0]

    def put(self, value: tuple[Question, dict[str, str]]) -> "Reference":
        question, versions = value
        return Reference((question, self.versions or versions))

    def get(self, reference: "Reference") -> Any:  # noqa: ANN401
        if isinstance(reference.value, Exception):
            raise reference.value
        return reference.value

    def cancel(self, reference: "Reference", force: bool) -> None:
        self.calls.append(("cancel", force))

    def remote(self, **options: object) -> Callable[[Callable[..., Any]], Any]:
        self.calls.append(("remote", options))

        def run(function: Callable[..., Any], *arguments: object) -> Reference:
            try:
                self.fate()
                return Reference(function(*arguments))
            except LostError as error:
                return Reference(error)
            except Exception as error:
                return Reference(TaskError(error))

        return lambda function: SimpleNamespace(remote=partial(run, function))


class Reference:
    """Ray's name for a value that is elsewhere."""

    def __init__(self, value: object) -> None:
        self.value = value


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    # In place of a child process: what it does is told by test_worker.py.
    monkeypatch.setattr(ray_engine, "start_worker", lambda function: partial(function, lost={}))
    yield fake
    ray_engine._open.cache_clear()


def count_atoms(block: Block) -> NDArray[np.float64]:
    return np.diff(block.graphs.atom_ptr).astype(np.float64)[:, None]


ATOMS = Question("counting", Recipe(), ("atoms",), count_atoms, {}, networks=[nn.Linear(1, 1)])


def run(cluster: Cluster | None = None) -> list[list[object]]:
    found = answer_on_ray(ATOMS, iter(BLOCKS), cluster or Cluster(), workers=3)
    return [[answered.values.tolist(), answered.rows.tolist(), answered.rejected] for answered in found]


def test_the_answers_are_those_of_one_machine_in_order(ray: FakeRay) -> None:
    here = answer_here(ATOMS, iter(BLOCKS), workers=0)
    assert run() == [[found.values.tolist(), found.rows.tolist(), found.rejected] for found in here]


def test_a_cluster_is_started_or_joined_and_left(ray: FakeRay) -> None:
    run()
    local = {"address": "local", "num_cpus": 3, "include_dashboard": False}
    assert ray.calls[0] == ("init", local | {"log_to_driver": False, "logging_level": "ERROR"})
    assert ray.calls[1] == ("remote", {"num_cpus": 1, "num_gpus": 0.0, "max_retries": 8})
    assert ray.calls[2:] == [("shutdown", None)]
    ray.calls.clear()
    run(Cluster("10.0.0.1:6379", gpus=0.25))
    assert ray.calls[0][1]["address"] == "10.0.0.1:6379" and "num_cpus" not in ray.calls[0][1]
    assert ray.calls[1][1]["num_gpus"] == 0.25


def test_a_connection_that_is_there_is_used_and_kept(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    assert len(run()) == 4
    assert [name for name, _ in ray.calls] == ["remote"]


def test_few_blocks_are_taken_before_the_first_answer_and_leaving_cancels_them(ray: FakeRay) -> None:
    taken: list[int] = []

    def blocks() -> Iterator[list[str]]:
        for number in range(100):
            taken.append(number)
            yield ["C"]

    answers = answer_on_ray(ATOMS, blocks(), Cluster(), workers=1)
    next(answers)
    assert len(taken) == 8
    answers.close()  # type: ignore[attr-defined]  # a generator
    assert [name for name, _ in ray.calls[2:]] == ["cancel"] * 7 + ["shutdown"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MolftError("the answer needs its forest"), r"^the answer needs its forest$"),
        (
            ModuleNotFoundError("No module named 'molft'"),
            r"a Ray task failed: Traceback ...\nNo module named",
        ),
        (LostError("node died"), r"lost a block of rows 9 times, or its cluster \(node died\).*--resume"),
    ],
)
def test_what_goes_wrong_in_a_task_is_told(ray: FakeRay, error: Exception, message: str) -> None:
    def fail() -> None:
        raise error

    ray.fate = fail
    with pytest.raises(MolftError, match=message):
        run()
    assert ray.calls[-1] == ("shutdown", None)


def test_a_node_with_other_versions_is_refused(ray: FakeRay) -> None:
    ray.versions = {**ray_engine._versions(), "molft": "0.0.1"}
    with pytest.raises(MolftError, match=rf"node 10.0.0.7 has molft {molft.__version__} \(0.0.1 here\): its"):
        run()


def test_no_cluster_at_the_address(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("could not find any running Ray instance")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(MolftError, match=r"no Ray cluster at auto: could not find .* ray start --head"):
        run(Cluster("auto"))


def test_without_ray_the_command_says_what_to_install(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "a.smi").write_text("CCO\n")
    command = ["screen", str(tmp_path / "a.smi"), "-m", str(tiny_model_dir), "-o", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(app, [*command, "--engine", "ray"])
    assert done.exit_code == 1 and "pip install 'molft[ray]'" in done.output
    done = CliRunner().invoke(app, [*command, "--ray-address", "auto"])
    assert done.exit_code == 2 and "--engine ray" in done.output


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'molft[ray]'")
def test_a_killed_worker_and_a_killed_node_change_no_byte(tiny_model_dir: Path, tmp_path: Path) -> None:
    library, output, whole = tmp_path / "library.smi", tmp_path / "out.csv", tmp_path / "whole.csv"
    rows = [MOLECULES[row % len(MOLECULES)] + "C" * (row // 30) for row in range(119)]
    library.write_text("\n".join([*rows, "C1CC"]) + "\n")

    def stop(_: str, rows: int, *rest: object) -> None:
        if rows == 16:
            raise KeyboardInterrupt

    screen(tiny_model_dir, library, whole, workers=0, block_rows=8)
    # Begun on this machine, and finished on the cluster.
    with pytest.raises(KeyboardInterrupt):
        screen(tiny_model_dir, library, output, workers=0, block_rows=8, progress=stop)
    script, marker = Path(__file__).with_name("ray_screens.py"), tmp_path / "died"
    command = [sys.executable, str(script), str(tiny_model_dir), str(library), str(output), str(marker)]
    paths = {"PYTHONPATH": os.pathsep.join(map(str, script.parents[:2]))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | paths)
    assert done.stdout.splitlines()[-1:] == ["16 120 119"], done.stderr
    assert marker.exists()
    assert output.read_bytes() == whole.read_bytes()
