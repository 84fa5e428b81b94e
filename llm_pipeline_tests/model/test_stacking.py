from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import pytest

from llm_pipeline.domain.records import Candidate, Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model import stacking
from llm_pipeline.model.features import Ngrams
from llm_pipeline.model.linear import LinearModel
from llm_pipeline.model.memory import Memory
from llm_pipeline.model.neighbours import VIEWS
from llm_pipeline.model.sources import Approved, CatalogueNames
from llm_pipeline.model.stacking import PRIOR_NAME, PRIOR_NEIGHBOUR, Stacking, Way

CATALOGUE = [Target("books", "Campus Books Inc"), Target("lamp", "Quartz Lantern")]
NEW = ["moon taxi", "rare books", "sunset hotel", "quartz lanterns", "xqzw", ""]


def brands(count: int = 240) -> pd.DataFrame:
    """Return texts of as many keys: a telling word of the target, and letters that tell nothing."""
    words = ["taxi", "books", "hotel", "coffee"]
    letters = "abcdefghijklmnop"
    lines = [
        (f"{letters[n // 16 % 16] * 2}{letters[n % 16] * 2} {words[n % 4]}", words[n % 4])
        for n in range(count)
    ]
    return pd.DataFrame(lines, columns=["text", "target"])


def stacked(
    texts: Sequence[str],
    targets: Sequence[str],
    *,
    weights: bool = True,
    catalogue: Sequence[Target] = CATALOGUE,
    first_seen: dict[str, int] | None = None,
) -> Stacking:
    memory, ngrams = Memory(), Ngrams(VIEWS, balanced=True).fit(texts)
    approved, names = Approved(ngrams, memory), CatalogueNames(ngrams)
    for text, target in zip(texts, targets, strict=True):
        if (key := memory.learn(text, target)) is not None:
            approved.add([key], [normalize(text)])
    names.update(catalogue)
    linear = LinearModel()
    if weights:
        linear.fit(texts, targets, first_seen=first_seen)
    else:
        linear.fit([], [])
    return Stacking.fitted(linear, approved, names, texts, targets, first_seen=first_seen)


@pytest.fixture(scope="module")
def whole() -> Stacking:
    table = brands()
    return stacked(table["text"].tolist(), table["target"].tolist())


def first(answers: list[tuple[Candidate, ...]]) -> list[str]:
    return [candidates[0].target if candidates else "" for candidates in answers]


@pytest.mark.parametrize("way", ["linear", "retrieval", "stacked"])
def test_each_way_answers_new_texts_with_falling_probabilities(whole: Stacking, way: Way) -> None:
    answers = whole.serving(way).candidates(NEW, 3)
    assert first(answers)[:3] == ["taxi", "books", "hotel"]
    assert answers[4:] == [(), ()]
    for candidates in answers:
        chances = [candidate.probability for candidate in candidates]
        assert chances == sorted(chances, reverse=True)
        assert len(chances) <= 3
        assert all(chance >= 0 for chance in chances)
        assert sum(chances) <= 1 + 1e-9


def test_evidence_names_all_that_spoke_for_an_answer(whole: Stacking) -> None:
    (books,), (lamp, *_) = whole.serving("stacked").candidates(
        ["campus bookss", "quartz lantern"], 1
    )
    assert books.evidence == "model + neighbour + name"
    assert (lamp.target, lamp.evidence, lamp.example) == ("lamp", "name", "Quartz Lantern")


def test_an_explanation_gives_the_nearest_approved_texts(whole: Stacking) -> None:
    (taxi,) = whole.candidates(["aaee taxis"], 1, explain=True)[0]
    assert len(taxi.examples) == stacking.EXAMPLES
    assert taxi.examples[0] == "aaee taxi"
    assert all(example.endswith(" taxi") for example in taxi.examples)
    assert whole.candidates(["aaee taxis"], 1)[0][0].examples == ()
    weights_alone = whole.serving("linear").candidates(["aaee taxis"], 1, explain=True)
    assert weights_alone[0][0].examples == ()


def test_enough_taught_keys_calibrate(whole: Stacking) -> None:
    untold = stacked(["city taxi"], ["taxi"])
    assert whole.stacked != untold.stacked
    sure = [answer[0].probability for answer in whole.candidates(["moon taxi", "old hotel"], 1)]
    assert min(sure) > 0.9


def test_few_taught_keys_leave_the_priors() -> None:
    few = stacked(["city taxi", "corner books"], ["taxi", "books"])
    assert (few.neighbour, few.name) == (PRIOR_NEIGHBOUR, PRIOR_NAME)
    assert few.ways == ("linear", "retrieval", "stacked")


def test_without_weights_retrieval_answers() -> None:
    table = brands(150)
    found = stacked(table["text"].tolist(), table["target"].tolist(), weights=False)
    assert (found.serves, found.ways) == ("retrieval", ("retrieval",))
    assert first(found.candidates(NEW, 1)) == ["taxi", "books", "hotel", "lamp", "", ""]


def test_the_catalogue_alone_answers() -> None:
    found = stacked([], [], weights=False)
    (lamp,) = found.candidates(["quartz lanterns"], 1)[0]
    assert (lamp.target, lamp.evidence) == ("lamp", "name")
    assert found.candidates([], 1) == []


def test_retrieval_overturns_weights_where_it_was_ahead() -> None:
    """Each target has its own brand, which no held-out weights could know."""
    letters = "abcdefghijklmnopqrst"
    pairs = [(f"{a * 2}{b * 3}", n) for n, (a, b) in enumerate(pairwise(letters))]
    catalogue = [Target(str(n), f"{word} {word[::-1]}") for word, n in pairs]
    texts = [f"{word} {word[::-1]} {extra * 3}" for word, _ in pairs for extra in "uvwxyz"]
    targets = [str(n) for _, n in pairs for _ in "uvwxyz"]
    time = {group_key(text): place for place, text in enumerate(texts)}
    found = stacked(texts, targets, catalogue=catalogue, first_seen=time)
    assert found.overturns
    right = first(found.candidates([f"{word} {word[::-1]} ltd" for word, _ in pairs], 1))
    assert right == [str(n) for _, n in pairs]


def test_where_it_was_not_newer_texts_still_answer(whole: Stacking) -> None:
    """Weights know nothing of what was learned since."""
    assert not whole.overturns
    table = brands()
    found = stacked(table["text"].tolist(), table["target"].tolist())
    found.approved._memory.learn("zebra zoo taxi", "hotel")
    found.approved.add(["zebra zoo taxi"], ["zebra zoo taxi"])
    (answer,) = found.candidates(["zebra zoos taxi"], 1)[0]
    assert (answer.target, answer.example) == ("hotel", "zebra zoo taxi")


def test_answers_are_alike_in_one_chunk_or_many(
    whole: Stacking, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = whole.candidates(NEW, 3)
    monkeypatch.setattr(stacking, "CHUNK", 2)
    assert first(whole.candidates(NEW, 3)) == first(at_once)


def test_a_sample_of_the_taught_keys_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacking, "SAMPLE", 150)
    table = brands()
    found = stacked(table["text"].tolist(), table["target"].tolist())
    assert first(found.candidates(NEW, 1))[:3] == ["taxi", "books", "hotel"]
