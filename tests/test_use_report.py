"""The page of a fine-tuning: what it says, and that nothing of the user's file becomes part of it."""

import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import numpy as np
import pytest

from molft.data.report import Report
from molft.errors import MolftError
from molft.use.report import CURATION, SPLIT_MEANINGS, render_report
from molft.use.scores import score
from molft.use.splits import SPLITS
from tests.finished import Finished, finish

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; refuses tags that do not match."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open = self.open[:-1] if tag not in VOID else self.open

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(finished: Finished) -> Page:
    return Page(render_report(*finished))


def test_it_says_what_the_model_is_and_how_good() -> None:
    model, data, evaluation, history = finish()
    text = page((model, data, evaluation, history)).text
    found = evaluation.scores["test"]["blend"].tasks["active"]["roc_auc"]
    assert f"ROC-AUC {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]" in text
    assert "On 36 test molecules that were not trained on; guessing gives 0.500." in text
    assert "The blend, the mean of the others, makes the predictions" in text
    assert "best validation ROC-AUC (network 0.801, forest 0.794, blend 0.822)" in text
    assert "made from 120 molecules in 120 rows of assay.csv" in text
    assert "A probability of 0.40 or more is a positive call" in text
    assert "molft screen LIBRARY.csv --model DIR -o predictions.csv" in text
    assert "Nothing: every row is one molecule" in text


def test_every_answer_and_metric_has_a_cell() -> None:
    finished = finish("regression", ("pIC50",))
    text = page(finished).text
    for part in ("test", "valid"):
        for scores in finished[2].scores[part].values():
            for metric in ("rmse", "mae", "r2", "spearman"):
                found = scores.tasks["pIC50"][metric]
                assert f"{found.value:.3f} {found.low:.3f} to {found.high:.3f}" in text
    assert "bounds kept" not in text


def test_bounds_are_explained() -> None:
    text = page(finish("regression", ("pIC50",), bounded=40)).text
    assert "bounds kept" in text and "(such as >10)" in text and "Triangles" in text


def test_guessing_is_the_mean_of_the_training_labels() -> None:
    model, data, evaluation, history = finish("regression", ("y",))
    train, test = (data.assay.labels[rows].astype(float) for rows in (data.split.train, data.split.test))
    rmse = np.sqrt(np.mean((test - train.mean()) ** 2))
    assert f"guessing gives {rmse:.3f}." in page((model, data, evaluation, history)).text


@pytest.mark.parametrize("noise", [0.1, 30.0])
@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_a_model_no_better_than_guessing_is_said_to_be_so(task_type: str, noise: float) -> None:
    text = page(finish(task_type, noise=noise, answer="network")).text
    assert ("is not shown to work" in text) == (noise == 30.0)


def test_an_undefined_score_is_no_number() -> None:
    model, data, evaluation, history = finish()
    data.assay.labels[data.split.test] = 1
    ones = np.ones((len(data.split.test), 1))
    undefined = score(ones, ones / 2, "classification", ["active"], resamples=0)
    scores = {**evaluation.scores, "test": dict.fromkeys(("network", "forest", "blend"), undefined)}
    text = page((model, data, replace(evaluation, scores=scores), history)).text
    assert "ROC-AUC undefined (only class 1 among 36 rows)" in text
    assert "This part can't judge the model" in text
    assert "With one class only there is no curve." in text
    assert "test: one class only, so ROC-AUC is undefined: active" in text


def test_without_a_test_part_the_page_says_so() -> None:
    text = page(finish(parts=("valid",))).text
    assert "Predictions of the validation molecules" in text
    assert "the scores are optimistic" in text


def test_few_tasks_are_all_listed_and_many_by_their_ends() -> None:
    few = page(finish(tasks=("NR-AR", "NR-ER"))).text
    assert few.count("NR-AR") >= 2 and "The 6 of" not in few
    model, data, evaluation, history = finish(tasks=tuple(f"NR-{number}" for number in range(20)))
    text = page((model, data, evaluation, history)).text
    found = evaluation.scores["test"]["blend"].tasks
    order = sorted(found, key=lambda task: found[task]["roc_auc"].value or 0)
    assert f"{order[0]}, the worst task:" in text and f"{order[-1]}, the best task:" in text
    assert "The 6 of 20 tasks" in text and "The first 12 of 20 tasks" in text
    assert f"{order[0]} 36 " in text and f"{order[10]} 36 " not in text


def test_curation_shows_counts_and_the_first_rows() -> None:
    text = page(finish(smiles=("C1CC", "OCC.[Na+].[Cl-]", *["xyz"] * 8))).text
    assert "Rows dropped: no molecule: 9 row 1 C1CC parse: not a SMILES: 'C1CC'" in text
    assert "Molecules changed by standardising: 1 row 2 OCC.[Na+].[Cl-] became CCO" in text
    assert text.count("not a SMILES: 'xyz'") == 2


SCRIPT = "<script>alert(1)</script>"
BREAKS = (
    SCRIPT,
    "\"><img src=x onerror='alert(2)'>",
    "{{ 7 * 7 }}{% raw %}",
    "</title></style><svg/onload=alert(3)>",
)


@pytest.fixture(scope="module")
def harmless() -> Page:
    return page(finish(tasks=("a", "b"), smiles=("xyz", "C1CC")))


@pytest.mark.parametrize("evil", BREAKS)
def test_what_the_user_wrote_stays_text(evil: str, harmless: Page) -> None:
    finished = finish(
        tasks=(evil, "b"), smiles=(evil, "C1CC"), column=evil, file=evil, card={evil: evil, "more": [evil]}
    )
    source = render_report(finished[0], replace(finished[1], split_name=f"column {evil}"), *finished[2:])
    found = Page(source)
    assert evil in found.text
    assert SCRIPT not in source
    assert sorted(set(found.tags)) == sorted(set(harmless.tags))
    assert [name for name, _ in found.attributes if name.startswith("on")] == []


@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_the_page_stands_alone(task_type: str) -> None:
    source = render_report(*finish(task_type, tasks=("a", "b", "c")))
    found = Page(source)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(found.tags)
    names = {name for name, _ in found.attributes}
    assert not {"src", "href", "srcset", "action"} & names
    assert all((value or "").startswith("#") for name, value in found.attributes if name == "xlink:href")
    assert "http://" not in source and "https://" not in source and "@import" not in source
    assert "default-src 'none'" in source
    assert len(found.ids) == len(set(found.ids))
    used = set(re.findall(r"url\(#([^)]*)\)", source))
    used |= {(value or "")[1:] for name, value in found.attributes if name == "xlink:href"}
    assert used <= set(found.ids)


def test_the_same_run_gives_the_same_bytes() -> None:
    assert render_report(*finish()) == render_report(*finish())


def test_provenance_and_plan() -> None:
    text = page(finish(card={"molecules": 2_000_000, "objectives": ["masking", "context"]})).text
    for words in ("5f" * 32, "seed 7", "encoder name default", 'encoder objectives ["masking", "context"]'):
        assert words in text
    assert "standardisation molft-1" in text and "64 labelled training molecules" in text
    assert "networks 2, averaged" in text


@pytest.mark.parametrize(("kept", "shown"), [([0.914, 0.87], "91%, 87%"), ([], None)])
def test_what_is_kept_of_the_pre_training_stands_in_the_plan(kept: list[float], shown: str | None) -> None:
    model, data, evaluation, history = finish()
    facts = {**model.about.facts, "retention": kept}
    page = render_report(replace(model, about=replace(model.about, facts=facts)), data, evaluation, history)
    assert ("pre-training kept" in page) == (shown is not None)
    assert shown is None or shown in page


def test_a_model_without_its_plan_is_refused() -> None:
    model, *rest = finish()
    facts = {**model.about.facts, "plan": {"strategy": "full"}}
    model = replace(model, about=replace(model.about, facts=facts))
    with pytest.raises(MolftError, match="the plan can't be read"):
        render_report(model, *rest)


def test_an_undefined_validation_score_leaves_a_gap() -> None:
    model, data, evaluation, history = finish()
    history = [[record | {"valid_score": None} for record in records] for records in history]
    assert "svg" in page((model, data, evaluation, history)).tags


def test_every_kind_of_curation_and_split_has_words() -> None:
    lists = {field.name for field in fields(Report) if field.type == "tuple[Line, ...]"}
    assert set(CURATION) == lists and lists
    assert set(SPLIT_MEANINGS) == set(SPLITS) - {"auto"}
