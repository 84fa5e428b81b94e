from threading import Thread

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from llm_pipeline.domain.records import Candidate, Recognition, State, Target
from llm_pipeline.domain.text import group_key
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model import lesson
from llm_pipeline.model.evaluation import held_out
from llm_pipeline.model.recognizer import Recognizer


def test_an_exact_repeat_is_answered_by_memory_with_its_example(
    fitted: Recognizer, texts: pd.DataFrame
) -> None:
    text = texts["text"][0]
    (answer,) = fitted.recognize([text.lower()], model_version="7")
    assert (answer.state, answer.target, answer.model_version) == (State.MATCHED, "coffee", "7")
    assert answer.candidates[0] == Candidate("coffee", answer.probability, "exact", text)


def test_a_text_that_memory_knows_has_that_answer_alone(fitted: Recognizer) -> None:
    (answer,) = fitted.recognize(["CITY TAXI fff #99"])
    assert [c.evidence for c in answer.candidates] == ["key"]


def test_explained_it_has_the_others_as_well_and_examples(fitted: Recognizer) -> None:
    known, new = fitted.recognize(["CITY TAXI fff #99", "moon taxis"], explain=True)
    first, *others = known.candidates
    assert (first.target, first.evidence) == ("taxi", "key")
    assert others
    assert {c.target for c in others}.isdisjoint({"taxi"})
    assert sum(c.probability for c in known.candidates) <= 1
    assert all("TAXI" in example for example in first.examples + new.candidates[0].examples)
    assert 0 < len(new.candidates[0].examples) <= 3


def test_top_k_limits_the_candidates(fitted: Recognizer) -> None:
    asked = ["moon taxi", "city taxi aaa"]
    answers = [fitted.recognize(asked, k, explain=True) for k in (1, 2, 3)]
    assert [[len(a.candidates) for a in found] for found in answers] == [[1, 1], [2, 2], [3, 3]]


def test_a_text_unlike_any_other_abstains(fitted: Recognizer) -> None:
    answers = fitted.recognize(["東京 ラーメン", "!!!", ""])
    assert [a.state for a in answers] == [State.NO_MATCH] * 3
    assert [(a.target, a.probability, a.candidates) for a in answers] == [(None, 0.0, ())] * 3


def test_below_the_minimum_the_candidates_are_kept(texts: pd.DataFrame) -> None:
    strict = Recognizer(min_probability=0.999).fit(texts["text"], texts["target"])
    (answer,) = strict.recognize(["moon taxi"])
    assert (answer.state, answer.target) == (State.NO_MATCH, None)
    assert answer.candidates[0].target == "taxi"
    assert answer.probability == answer.candidates[0].probability
    assert strict.predict(["moon taxi", "!!!"]).tolist() == ["taxi", ""]


def test_answers_come_in_order_also_for_repeats(fitted: Recognizer) -> None:
    answers = fitted.recognize(["moon taxi", "lake hotel", "moon taxi"])
    assert [answer.target for answer in answers] == ["taxi", "hotel", "taxi"]
    assert fitted.recognize([]) == []


def test_an_empty_recogniser_learns_and_forgets_at_once() -> None:
    recognizer = Recognizer.empty()
    assert recognizer.recognize(["taxi"]) == [Recognition("taxi", State.NO_MATCH)]
    recognizer.learn("taxi 1", "4121")
    assert recognizer.recognize(["TAXI #1", "taxi 2"])[1].target == "4121"
    recognizer.forget("taxi 1")
    assert recognizer.predict(["taxi 1"]).tolist() == [""]


def test_memory_can_be_left_out(texts: pd.DataFrame) -> None:
    recognizer = Recognizer().fit(texts["text"], texts["target"])
    recognizer.learn("moon taxi", "corrected")
    with_memory = recognizer.recognize(["moon taxi"])
    without = recognizer.recognize(["moon taxi"], use_memory=False)
    assert (with_memory[0].target, without[0].target) == ("corrected", "taxi")


def test_held_out_keys_never_change_the_weights(texts: pd.DataFrame) -> None:
    teaches = ~held_out(texts["key"])
    spoiled = texts["target"].where(teaches, "spoiled")
    one = Recognizer().fit(texts["text"], texts["target"], teaches=teaches)
    other = Recognizer().fit(texts["text"], spoiled, teaches=teaches)
    assert not teaches.all()
    np.testing.assert_array_equal(one.linear_.weights_, other.linear_.weights_)
    # Fits beside each other share liblinear's random numbers: they agree to some digits only.
    ours, theirs = one.linear_.calibration_, other.linear_.calibration_
    assert ours.intercept == pytest.approx(theirs.intercept, rel=0.01)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=0.01)
    assert other.predict(texts["text"][~teaches]).tolist() == ["spoiled"] * (~teaches).sum()


def history_of(*rows: tuple[str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["normalized", "target"])
    return table.assign(key=[group_key(text) for text in table["normalized"]])


def test_confirmations_make_memory_surer_and_changes_less_sure() -> None:
    rows = [("taxi 1", "a")] * 9 + [("hotel 1", "b"), ("hotel 1", "c")] * 4 + [("books 1", "d")]
    texts = ["taxi 1", "hotel 1", "books 1"]
    fitted = Recognizer().fit(texts, ["a", "c", "d"], history=history_of(*rows))
    steady, changing, once = (answer.probability for answer in fitted.recognize(texts))
    assert changing < once < steady
    by_key = [answer.probability for answer in fitted.recognize(["taxi 2", "hotel 2"])]
    assert by_key[1] < by_key[0] < steady


def test_a_correction_makes_memory_less_sure_at_once() -> None:
    recognizer = Recognizer.empty()
    recognizer.learn("taxi 1", "a")
    (before,) = recognizer.recognize(["taxi 1"])
    recognizer.learn("taxi 1", "a")
    (confirmed,) = recognizer.recognize(["taxi 1"])
    recognizer.learn("taxi 1", "b")
    (corrected,) = recognizer.recognize(["taxi 1"])
    assert corrected.target == "b"
    assert corrected.probability < before.probability < confirmed.probability


def test_time_order_calibrates_by_what_came_before(texts: pd.DataFrame) -> None:
    """In the second half of this stream every target has another word than before."""
    half = len(texts) // 2
    words = {"taxi": "cab", "books": "novels", "hotel": "inn", "coffee": "espresso"}
    stream = pd.DataFrame(
        {
            "normalized": [
                f"{'abcdefghij'[n % 10] * 2}{'klmnopqrst'[n // 10 % 10] * 2} "
                f"{words[target] if n >= half else target}"
                for n, target in enumerate(texts["target"])
            ],
            "target": texts["target"],
        }
    )
    stream = history_of(*zip(stream["normalized"], stream["target"], strict=True))
    in_time = Recognizer().fit(stream["normalized"], stream["target"], history=stream)
    anyhow = Recognizer().fit(stream["normalized"], stream["target"])
    (sober,), (sure,) = (one.recognize(["moon taxi"]) for one in (in_time, anyhow))
    assert sober.candidates[0].target == sure.candidates[0].target == "taxi"
    assert sober.probability < sure.probability


def test_the_catalogue_answers_before_anything_is_learned() -> None:
    catalogue = [Target("GOOG", "Alphabet Inc"), Target("GOOGL", "Alphabet Inc")]
    recognizer = Recognizer(min_probability=0.4).fit([], [], catalogue=catalogue)
    assert recognizer.classes_.tolist() == ["GOOG", "GOOGL"]
    (answer,) = recognizer.recognize(["alphabet inc. - com stk"])
    assert [(c.target, c.evidence) for c in answer.candidates] == [
        ("GOOG", "name"),
        ("GOOGL", "name"),
    ]
    assert answer.candidates[0].example == "Alphabet Inc"


def test_names_are_learned_renamed_and_forgotten_at_once() -> None:
    recognizer = Recognizer.empty()
    recognizer.learn_names([Target("a", "Quartz Lantern"), Target("b", "Corner Books")])
    assert recognizer.predict(["quartz lanterns", "corner book"]).tolist() == ["a", "b"]
    recognizer.learn_names([Target("a", "Blue Whale")])
    recognizer.retire("b")
    asked = ["quartz lanterns", "corner book", "blue whales"]
    assert recognizer.predict(asked).tolist() == ["", "", "a"]


def test_a_text_learned_helps_with_texts_like_it_at_once() -> None:
    recognizer = Recognizer.empty()
    recognizer.learn("quartz lantern ltd", "lamp")
    (answer,) = recognizer.recognize(["quartz lanterns"])
    assert (answer.candidates[0].target, answer.candidates[0].evidence) == ("lamp", "neighbour")
    assert answer.candidates[0].example == "quartz lantern ltd"
    recognizer.forget("quartz lantern ltd")
    assert recognizer.recognize(["quartz lanterns"])[0].candidates == ()


def test_many_texts_learned_at_once_are_known_as_if_one_after_another(
    texts: pd.DataFrame,
) -> None:
    pairs = [*zip(texts["text"], texts["target"], strict=True), ("SQ *BLUE BOTTLE", "1")]
    pairs.append((pairs[0][0], "another"))
    together, alone = Recognizer.empty(), Recognizer.empty()
    together.learn_all(pairs)
    for text, target in pairs:
        alone.learn(text, target)
    asked = [*texts["text"][:50], "BLUE BOTTLE 77 OAKLAND"]
    assert together.predict(asked[:1]).tolist() == ["another"]
    assert together.recognize(asked, explain=True) == alone.recognize(asked, explain=True)


def test_the_ways_of_answering_share_what_they_know(texts: pd.DataFrame) -> None:
    recognizer = Recognizer().fit(texts["text"], texts["target"])
    ways = recognizer.variants()
    assert list(ways) == ["linear", "retrieval", "stacked"]
    assert [way.serves_ for way in ways.values()] == list(ways)
    recognizer.learn("quartz lantern", "lamp")
    assert {way.predict(["quartz lantern"])[0] for way in ways.values()} == {"lamp"}
    evidence = {
        name: way.recognize(["moon taxis"])[0].candidates[0].evidence for name, way in ways.items()
    }
    assert evidence == {"linear": "model", "retrieval": "neighbour", "stacked": "model + neighbour"}


@pytest.mark.parametrize(("classes", "serves"), [(3, "retrieval"), (4, "stacked")])
def test_too_many_targets_are_answered_by_retrieval_alone(
    texts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, classes: int, serves: str
) -> None:
    monkeypatch.setattr(lesson, "MAX_CLASSES", classes)
    recognizer = Recognizer().fit(texts["text"], texts["target"])
    assert recognizer.serves_ == serves
    assert recognizer.predict(["moon taxis"]).tolist() == ["taxi"]


def test_targets_with_one_text_each_have_no_weights() -> None:
    recognizer = Recognizer().fit(["city taxi", "corner books", "grand hotel"], list("abc"))
    assert list(recognizer.variants()) == ["retrieval"]
    assert recognizer.predict(["grand hotels"]).tolist() == ["c"]


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one target per text"):
        Recognizer().fit(["a", "b"], ["x"])
    with pytest.raises(InvalidInput, match="3 values of `teaches` for 1 texts"):
        Recognizer().fit(["a"], ["x"], teaches=np.ones(3, dtype=bool))


def test_follows_the_rules_of_scikit_learn(fitted: Recognizer, texts: pd.DataFrame) -> None:
    copy = clone(Recognizer(min_probability=0.5, C=2.0))
    assert copy.get_params()["C"] == 2.0
    assert fitted.fit(texts["text"], texts["target"], history=texts) is fitted
    assert fitted.classes_.tolist() == ["books", "coffee", "hotel", "taxi"]
    assert fitted.score(texts["text"], texts["target"]) == 1.0
    assert fitted.__sklearn_tags__().input_tags.string


def test_recognises_while_another_thread_teaches(texts: pd.DataFrame) -> None:
    recognizer = Recognizer().fit(texts["text"], texts["target"])
    answers: list[Recognition] = []

    def ask() -> None:
        for _ in range(30):
            answers.extend(recognizer.recognize(["moon taxi 1", "lake hotel"]))

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(500):
        recognizer.learn(f"moon taxi {number}", "moon")
        recognizer.forget(f"moon taxi {number}")
    for thread in threads:
        thread.join()
    assert len(answers) == 120
    assert {a.target for a in answers if a.text == "moon taxi 1"} <= {"taxi", "moon"}
    assert {a.target for a in answers if a.text == "lake hotel"} == {"hotel"}


def test_a_text_approved_by_the_letter_is_answered_however_unsteady_labels_were() -> None:
    flips = pd.DataFrame(
        {"normalized": ["taxi"] * 60, "key": ["taxi"] * 60, "target": ["a", "b"] * 30}
    )
    fitted = Recognizer().fit(["taxi", "pizza"], ["b", "c"], history=flips)
    (answer,) = fitted.recognize(["Taxi!"])
    assert (answer.state, answer.target) == (State.MATCHED, "b")
    assert answer.probability < fitted.recognize(["pizza"])[0].probability
