import numpy as np
import pandas as pd
import pytest

from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model.memory import Entry, Hit, Memory
from llm_pipeline.model.trust import PRIOR_EXACT, PRIOR_KEY, Trust, learned, pasts, replay


def hit(evidence: str, seen: int = 1, changes: int = 0, key_target: str = "a") -> Hit:
    entry, key = Entry("a", "taxi", seen, changes), Entry(key_target, "taxi", seen, changes)
    return Hit("a", "exact" if evidence == "exact" else "key", "taxi", entry, key)


def stream(rows: int = 600, unsteady: float = 0.3) -> pd.DataFrame:
    """Return texts of ten keys; those of even keys change their labels now and then."""
    random = np.random.default_rng(0)
    lines = []
    for _ in range(rows):
        brand = "abcdefghij"[number := int(random.integers(10))] * 4
        changed = number % 2 == 0 and random.random() < unsteady
        text = f"{brand} {int(random.integers(4))}"
        lines.append((text, str(random.integers(3)) if changed else brand))
    table = pd.DataFrame(lines, columns=["text", "target"], dtype=object)
    table["normalized"] = [normalize(text) for text in table["text"]]
    return table.assign(key=[group_key(text) for text in table["normalized"]])


@pytest.mark.parametrize("evidence", ["exact", "key"])
def test_confirmations_raise_trust_and_changes_lower_it(evidence: str) -> None:
    once, often, changed = Trust()([hit(evidence), hit(evidence, 9), hit(evidence, 9, 4)])
    assert 0 < once < often < 1
    assert 0 < changed < often


def test_a_text_whose_key_says_otherwise_is_trusted_less() -> None:
    agreed, disputed = Trust()([hit("exact"), hit("exact", key_target="b")])
    assert disputed < agreed


def test_nothing_asked_is_nothing_answered() -> None:
    assert Trust()([]).tolist() == []


def test_a_key_left_without_an_entry_speaks_as_its_text_does() -> None:
    entry = Entry("a", "taxi", 3, 1)
    alone, agreed = Trust()(
        [Hit("a", "exact", "taxi", entry, None), Hit("a", "exact", "taxi", entry, entry)]
    )
    assert alone == agreed


def test_replays_what_memory_knew_before_each_row() -> None:
    lines = [
        ("taxi 1", "taxi", "a", "none", False),
        ("taxi 1", "taxi", "a", "exact", True),
        ("taxi 2", "taxi", "a", "key", True),
        ("taxi 1", "taxi", "b", "exact", False),
        ("taxi 2", "taxi", "b", "exact", False),
        ("taxi 3", "taxi", "b", "key", True),
        ("pizza", "pizza", "a", "none", False),
        ("", "", "a", "none", False),
        ("", "", "a", "none", False),
    ]
    columns = ["normalized", "key", "target", "evidence", "correct"]
    history = pd.DataFrame(lines, columns=columns)
    replayed = replay(history)
    assert replayed["evidence"].tolist() == history["evidence"].tolist()
    assert replayed["correct"].tolist() == history["correct"].tolist()
    assert replayed["key_seen"].tolist()[:6] == [0, 1, 2, 3, 1, 2]
    assert replayed["key_changes"].tolist()[:6] == [0, 0, 0, 0, 1, 1]


def test_the_replay_agrees_with_a_memory_taught_row_by_row() -> None:
    history = stream()
    replayed, memory, trust = replay(history), Memory(), learned(replay(history))
    chances = trust.of_replay(replayed)
    for row, line, chance in zip(history.itertuples(), replayed.itertuples(), chances, strict=True):
        found = memory.look_up(str(row.text))
        evidence, correct = (
            (found.evidence, found.target == row.target) if found else ("none", False)
        )
        assert (line.evidence, line.correct) == (evidence, correct)
        assert chance == pytest.approx(trust([found])[0] if found else 0.0)
        memory.learn(str(row.text), str(row.target))
    assert pasts(history, "normalized") == {t: (e.seen, e.changes) for t, e in memory.entries()}
    assert pasts(history, "key") == {k: (e.seen, e.changes) for k, e in memory.latest.items()}


def test_a_history_teaches_how_far_memory_can_be_trusted() -> None:
    replayed = replay(stream())
    trust = learned(replayed)
    hits = (replayed["evidence"] == "exact").to_numpy()
    right = replayed["correct"].to_numpy(bool)
    assert trust.exact != PRIOR_EXACT
    assert trust.of_replay(replayed)[hits].mean() == pytest.approx(right[hits].mean(), abs=0.02)
    steady, unsteady = trust([hit("exact", 9, 0), hit("exact", 1, 9)])
    assert unsteady < 0.7 < steady


def test_a_short_history_leaves_the_prior() -> None:
    assert learned(replay(stream(20))) == Trust(PRIOR_EXACT, PRIOR_KEY)


def test_an_empty_history_replays_to_nothing() -> None:
    history = pd.DataFrame({"normalized": [], "key": [], "target": []}, dtype=object)
    replayed = replay(history)
    assert replayed.empty
    assert learned(replayed) == Trust()
    assert Trust().of_replay(replayed).tolist() == []
    assert pasts(history, "key") == {}
