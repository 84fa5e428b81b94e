from threading import Thread

import pandas as pd
import pytest

from llm_pipeline.model.memory import Hit, Memory, progressive_memory


def taught(*pairs: tuple[str, str]) -> Memory:
    memory = Memory()
    for text, target in pairs:
        memory.learn(text, target)
    return memory


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("blue bottle 1", Hit("food", "exact", "Blue Bottle #1")),
        ("BLUE  BOTTLE*1", Hit("food", "exact", "Blue Bottle #1")),
        ("blue bottle 2", Hit("cafe", "exact", "BLUE BOTTLE 2")),
        ("blue bottle 3", Hit("cafe", "key", "BLUE BOTTLE 2")),
        ("blue", None),
        ("", None),
        ("!!!", None),
    ],
)
def test_answers_by_exact_text_then_by_key(text: str, hit: Hit | None) -> None:
    memory = taught(("Blue Bottle #1", "food"), ("BLUE BOTTLE 2", "cafe"))
    assert memory.look_up(text) == hit


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ("चाय की दुकान 12", "चाय की दुकान 99"),
        ("مقهى القاهرة 12", "مقهى القاهرة 99"),
        ("東京 ラーメン 12", "東京 ラーメン 99"),
        ("🍕", "🍕 !"),
    ],
)
def test_knows_texts_of_every_script(known: str, asked: str) -> None:
    hit = taught((known, "food")).look_up(asked)
    assert hit is not None
    assert (hit.target, hit.example) == ("food", known)


def test_the_last_label_of_a_text_wins_and_becomes_the_last_of_its_key() -> None:
    memory = taught(("taxi 1", "old"), ("taxi 2", "other"), ("TAXI #1", "new"))
    assert memory.look_up("taxi 1") == Hit("new", "exact", "TAXI #1")
    assert memory.look_up("taxi 3") == Hit("new", "key", "TAXI #1")
    assert len(memory) == 2


def test_a_key_falls_back_to_the_latest_text_still_known() -> None:
    memory = taught(("taxi 1", "a"), ("taxi 2", "b"), ("taxi 3", "c"))
    memory.forget("TAXI 3")
    assert memory.look_up("taxi 3") == Hit("b", "key", "taxi 2")
    memory.forget("taxi 1")
    assert memory.look_up("taxi 9") == Hit("b", "key", "taxi 2")


def test_forgetting_everything_leaves_nothing() -> None:
    memory = taught(("taxi 1", "a"))
    memory.forget("taxi 1")
    memory.forget("taxi 1")
    memory.forget("never known")
    assert memory == Memory()


def test_a_text_of_punctuation_is_not_learned() -> None:
    assert len(taught(("!!!", "a"), ("", "b"))) == 0


def test_entries_come_in_the_order_of_learning() -> None:
    memory = taught(("b", "1"), ("a", "2"), ("b", "3"))
    assert memory.entries() == [("a", ("2", "a")), ("b", ("3", "b"))]


def test_readers_never_stumble_over_a_writer() -> None:
    memory = taught(("taxi 0", "a"))
    answers: list[Hit | None] = []
    reader = Thread(target=lambda: answers.extend(memory.look_up("taxi x9") for _ in range(20_000)))
    reader.start()
    for number in range(2_000):
        memory.learn(f"taxi {number}", "ab"[number % 2])
        memory.forget(f"taxi {number - 1}")
    reader.join()
    assert len(answers) == 20_000
    assert {hit.target for hit in answers if hit} <= {"a", "b"}
    assert None not in answers[:1]


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
    replayed = progressive_memory(history)
    assert replayed["evidence"].tolist() == history["evidence"].tolist()
    assert replayed["correct"].tolist() == history["correct"].tolist()


def test_the_replay_agrees_with_a_memory_taught_row_by_row(texts: pd.DataFrame) -> None:
    history = pd.concat([texts, texts.assign(target=texts["target"].iloc[::-1].tolist())])
    memory, expected = Memory(), []
    for row in history.itertuples():
        hit = memory.look_up(str(row.text))
        expected.append((hit.evidence, hit.target == row.target) if hit else ("none", False))
        memory.learn(str(row.text), str(row.target))
    assert list(progressive_memory(history).itertuples(index=False, name=None)) == expected


def test_an_empty_history_replays_to_nothing() -> None:
    history = pd.DataFrame({"normalized": [], "key": [], "target": []}, dtype=object)
    assert progressive_memory(history).empty
