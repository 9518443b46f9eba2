"""Model folders of every release keep loading and keep their answers."""

from pathlib import Path

import pytest

from molft.use.model import load

FOLDERS = Path(__file__).parent / "data"


@pytest.mark.parametrize(("name", "answers"), [("model-0.1.0", (0.5822883578, 0.4447655546))])
def test_a_model_of_an_earlier_release_answers_as_it_did(name: str, answers: tuple[float, float]) -> None:
    table = load(FOLDERS / name).predict(["c1ccncc1F", "CCO", "nonsense"])
    assert table["status"].tolist() == ["ok", "ok", "parse: not a SMILES: 'nonsense'"]
    assert table["halogen"].tolist()[:2] == pytest.approx(answers, abs=1e-6)
