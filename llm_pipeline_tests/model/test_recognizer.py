from threading import Thread

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from llm_pipeline.domain.records import Candidate, Recognition, State
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.evaluation import held_out
from llm_pipeline.model.recognizer import PRIOR_SHARE, Recognizer, memory_probability


def test_an_exact_repeat_is_answered_by_memory_with_its_example(
    fitted: Recognizer, texts: pd.DataFrame
) -> None:
    text = texts["text"][0]
    (answer,) = fitted.recognize([text.lower()], model_version="7")
    assert (answer.state, answer.target, answer.model_version) == (State.MATCHED, "coffee", "7")
    assert answer.candidates[0] == Candidate("coffee", answer.probability, "exact", text)


def test_memory_comes_first_and_the_model_offers_the_others(fitted: Recognizer) -> None:
    fresh = clone(fitted).fit(["city taxi 1", "pizza", "hotel"], ["odd", "food", "bed"])
    (answer,) = fresh.recognize(["city taxi 2"])
    assert [c.evidence for c in answer.candidates] == ["key", "model", "model"]
    assert len({c.target for c in answer.candidates}) == 3
    assert sum(c.probability for c in answer.candidates) <= 1


def test_top_k_limits_the_candidates(fitted: Recognizer) -> None:
    assert [len(a.candidates) for a in fitted.recognize(["moon taxi", "city taxi"], 2)] == [2, 2]


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
    assert one.linear_.calibration_ == other.linear_.calibration_
    assert other.predict(texts["text"][~teaches]).tolist() == ["spoiled"] * (~teaches).sum()


def test_history_sets_the_probability_of_memory_hits() -> None:
    rows = [("taxi 1", "taxi", "a")] * 21 + [("taxi 2", "taxi", "b")]
    history = pd.DataFrame(rows, columns=["normalized", "key", "target"])
    probability = memory_probability(history)
    assert probability["exact"] == pytest.approx((20 + 20 * PRIOR_SHARE["exact"]) / 40)
    assert probability["key"] == pytest.approx((0 + 20 * PRIOR_SHARE["key"]) / 21)
    assert memory_probability(None) == PRIOR_SHARE


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
    assert answer.probability < 0.5
