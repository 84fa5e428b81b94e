import pickle
from threading import Thread

import pytest

from llm_pipeline.model.memory import Entry, Evidence, Hit, Memory, restored


def known(target: str, evidence: Evidence, example: str) -> Hit:
    """Return a hit to compare with: what is known of its past does not count."""
    return Hit(target, evidence, example, Entry(target, example), None)


def taught(*pairs: tuple[str, str]) -> Memory:
    memory = Memory()
    for text, target in pairs:
        memory.learn(text, target)
    return memory


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("blue bottle 1", known("food", "exact", "Blue Bottle #1")),
        ("BLUE  BOTTLE*1", known("food", "exact", "Blue Bottle #1")),
        ("blue bottle 2", known("cafe", "exact", "BLUE BOTTLE 2")),
        ("blue bottle 3", known("cafe", "key", "BLUE BOTTLE 2")),
        ("blue", None),
        ("", None),
        ("!!!", None),
    ],
)
def test_answers_by_exact_text_then_by_key(text: str, hit: Hit | None) -> None:
    memory = taught(("Blue Bottle #1", "food"), ("BLUE BOTTLE 2", "cafe"))
    assert memory.look_up(text) == hit


@pytest.mark.parametrize(
    ("learned", "asked"),
    [
        ("चाय की दुकान 12", "चाय की दुकान 99"),
        ("مقهى القاهرة 12", "مقهى القاهرة 99"),
        ("東京 ラーメン 12", "東京 ラーメン 99"),
        ("🍕", "🍕 !"),
    ],
)
def test_knows_texts_of_every_script(learned: str, asked: str) -> None:
    hit = taught((learned, "food")).look_up(asked)
    assert hit is not None
    assert (hit.target, hit.example) == ("food", learned)


def test_the_last_label_of_a_text_wins_and_becomes_the_last_of_its_key() -> None:
    memory = taught(("taxi 1", "old"), ("taxi 2", "other"), ("TAXI #1", "new"))
    assert memory.look_up("taxi 1") == known("new", "exact", "TAXI #1")
    assert memory.look_up("taxi 3") == known("new", "key", "TAXI #1")
    assert len(memory) == 2


def test_a_key_falls_back_to_the_latest_text_still_known() -> None:
    memory = taught(("taxi 1", "a"), ("taxi 2", "b"), ("taxi 3", "c"))
    memory.forget("TAXI 3")
    assert memory.look_up("taxi 3") == known("b", "key", "taxi 2")
    memory.forget("taxi 1")
    assert memory.look_up("taxi 9") == known("b", "key", "taxi 2")


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
    assert memory.entries() == [("a", Entry("2", "a")), ("b", Entry("3", "b", 1, 1))]


def test_learning_tells_the_keys_that_are_new() -> None:
    memory = Memory()
    learned = [memory.learn(text, "a") for text in ("taxi 1", "taxi 2", "!!!", "pizza", "taxi 1")]
    assert learned == ["taxi", None, None, "pizza", None]
    memory.forget("pizza")
    assert memory.learn("pizza 7", "a") == "pizza"


def test_labels_in_a_row_and_changes_are_counted_by_text_and_by_key() -> None:
    memory = taught(("taxi 1", "a"), ("taxi 1", "a"), ("taxi 2", "b"), ("taxi 1", "b"))
    hit = memory.look_up("taxi 1")
    assert hit is not None
    assert hit.entry == Entry("b", "taxi 1", seen=1, changes=1)
    assert hit.under_key == Entry("b", "taxi 1", seen=2, changes=1)


def test_the_past_of_a_history_is_taken_over_for_what_is_known() -> None:
    memory = taught(("taxi 1", "a"))
    memory.set_past({"taxi 1": (7, 2), "pizza": (9, 9)}, {"taxi": (8, 3)})
    assert memory.exact == {"taxi 1": Entry("a", "taxi 1", 7, 2)}
    assert memory.latest == {"taxi": Entry("a", "taxi 1", 8, 3)}


def test_the_past_of_a_key_outlives_the_text_that_is_forgotten() -> None:
    memory = taught(("taxi 1", "a"), ("taxi 2", "b"), ("taxi 2", "b"))
    memory.forget("taxi 2")
    assert memory.latest["taxi"] == Entry("a", "taxi 1", seen=2, changes=1)


def test_restored_and_pickled_memories_are_equal_and_go_on_learning() -> None:
    memory = taught(("taxi 1", "a"), ("taxi 2", "b"), ("pizza", "c"))
    for copy in (
        restored(memory.entries(), memory.latest.items()),
        pickle.loads(pickle.dumps(memory)),  # noqa: S301 - our own bytes
    ):
        assert copy == memory
        copy.forget("taxi 2")
        assert copy.look_up("taxi 9") == known("a", "key", "taxi 1")


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
