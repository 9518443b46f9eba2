"""Model folders of every release keep loading and keep their answers."""

from pathlib import Path

import pytest

from molft.use.model import load

FOLDERS = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("model-0.1.0", (0.5822883578, 0.4447655546)),
        ("model-0.3.0", (2.4928051609, 1.2573792579)),  # with a Gaussian process
    ],
)
def test_a_model_of_an_earlier_release_answers_as_it_did(name: str, answers: tuple[float, float]) -> None:
    model = load(FOLDERS / name)
    table = model.predict(["c1ccncc1F", "CCO", "nonsense"])
    assert table["status"].tolist() == ["ok", "ok", "parse: not a SMILES: 'nonsense'"]
    assert table[model.about.tasks[0]].tolist()[:2] == pytest.approx(answers, abs=1e-6)
