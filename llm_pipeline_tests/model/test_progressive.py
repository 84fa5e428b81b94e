"""A stream small enough to be worked out by hand, and what its parts are scored as."""

from typing import Any, ClassVar, Self

import pandas as pd
import pytest

from llm_pipeline.domain.records import Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model.evaluation import held_out
from llm_pipeline.model.progressive import BATCH, CUTS, answer_stream, metrics, parts
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.model.trust import Trust, learned, replay

# (text, target, what memory knew of it, whether the answer is right)
STREAM = [
    ("taxi one", "a", "none", False),  # nothing is known yet
    ("TAXI ONE", "a", "exact", True),
    ("taxi one 7", "b", "key", False),  # its key says a
    ("taxi one", "b", "exact", False),  # its letters say a
    # Half of the rows: from here on the weights know `taxi one`, by now b.
    ("taxi two", "b", "none", True),
    ("xyz", "a", "none", False),  # like nothing that is known
    ("taxi one 7", "b", "exact", True),
    ("taxi two 9", "a", "key", False),  # its key says b
]


def rows(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(pairs, columns=["text", "target"], dtype=object)
    table["normalized"] = [normalize(text) for text in table["text"]]
    table["key"] = [group_key(text) for text in table["normalized"]]
    return table


@pytest.fixture(scope="module")
def stream() -> pd.DataFrame:
    return answer_stream(
        Recognizer(), rows([(text, target) for text, target, *_ in STREAM]), cuts=[0.5]
    )


def test_every_row_is_answered_by_what_was_known_before_it(stream: pd.DataFrame) -> None:
    assert not held_out(["taxi one"])[0], "or the weights would not learn it"
    assert stream["memory"].tolist() == [memory for _, _, memory, _ in STREAM]
    assert stream["correct"].tolist() == [right for *_, right in STREAM]
    assert stream["predicted"].tolist() == ["", "a", "a", "a", "b", "", "b", "b"]


def test_accuracy_is_that_worked_out_by_hand(stream: pd.DataFrame) -> None:
    found = metrics(stream)
    assert found["progressive_accuracy"] == 3 / 8
    assert found["progressive_seen_accuracy"] == pytest.approx(2 / 3)
    assert found["progressive_unseen_accuracy"] == pytest.approx(1 / 5)
    assert found["progressive_new_accuracy"] == pytest.approx(1 / 3)
    assert found["progressive_recent_accuracy"] == pytest.approx(1 / 3)
    assert {name: len(part) for name, part in parts(stream).items()} == {
        "progressive_": 8,
        "progressive_seen_": 3,
        "progressive_unseen_": 5,
        "progressive_new_": 3,
        "progressive_recent_": 3,
        "progressive_recent_unseen_": 2,
        "progressive_recent_new_": 1,
    }


def test_a_memory_hit_has_the_probability_its_segment_would_give(stream: pd.DataFrame) -> None:
    replayed, sure = replay(stream), stream["probability"]
    first, second = Trust(), learned(replay(stream.head(4)))
    assert sure[1:4].tolist() == first.of_replay(replayed)[1:4].tolist()
    assert sure[6:8].tolist() == second.of_replay(replayed)[6:8].tolist()
    assert sure[0] == sure[5] == 0.0
    assert stream["evidence"].tolist()[:4] == ["none", "exact", "key", "exact"]


def test_counts_the_texts_that_taught_a_target_before(stream: pd.DataFrame) -> None:
    assert stream["learned"].tolist() == [0, 1, 0, 1, 2, 1, 3, 2]


class Watched(Recognizer):
    """Tells what it is taught, and what it learns meanwhile."""

    taught: ClassVar[list[tuple[int, list[str]]]] = []
    learned: ClassVar[list[str]] = []

    def learn(self, text: str, target: str) -> None:
        self.learned.append(text)
        super().learn(text, target)

    def fit(self, *rows: Any, **known: Any) -> Self:
        self.taught.append((len(known["history"]), [entry.key for entry in known["catalogue"]]))
        return super().fit(*rows, **known)


def test_every_segment_is_answered_by_the_rows_before_it_and_the_catalogue(
    texts: pd.DataFrame,
) -> None:
    Watched.taught.clear()
    answer_stream(Watched(), texts, [Target("taxi", "Taxi")])
    cuts = [int(cut * len(texts)) for cut in CUTS]
    assert Watched.taught == [(rows_before, ["taxi"]) for rows_before in (0, *cuts)]


def test_new_texts_are_learned_batch_by_batch() -> None:
    Watched.learned.clear()
    words = [f"{chr(97 + n % 26)}{chr(97 + n // 26)} cafe" for n in range(BATCH + 10)]
    answer_stream(Watched(), rows([(word, "a") for word in words]), cuts=[])
    assert Watched.learned == words[:BATCH]


def test_an_empty_stream_scores_zero() -> None:
    empty = answer_stream(Recognizer(), rows([]))
    assert len(empty) == 0
    assert set(metrics(empty).values()) == {0.0}
