"""A check that cannot fail says nothing: each rule is broken once."""

from collections.abc import Collection
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from llm_pipeline.domain.records import Candidate, Recognition, State
from llm_pipeline.model.checks import check_recognizer
from llm_pipeline.model.recognizer import Recognizer

FITS = count()


def test_the_recogniser_passes() -> None:
    recognizer = Recognizer(min_probability=0.4)
    check_recognizer(recognizer)
    assert not hasattr(recognizer, "memory_")


class Changed(Recognizer):
    """Changes the answers, one by one."""

    def recognize(self, X: Collection[str], top_k: int = 5, **asked: Any) -> list[Recognition]:
        return [self.changed(answer) for answer in super().recognize(X, top_k, **asked)]

    def changed(self, answer: Recognition) -> Recognition:
        return answer


class Hasty(Recognizer):
    def recognize(self, X: Collection[str], top_k: int = 5, **asked: Any) -> list[Recognition]:
        return super().recognize(X, top_k, **asked) if hasattr(self, "memory_") else []


class Forgetful(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        return Recognition(answer.text, State.NO_MATCH) if answer.target == "books" else answer


class Slow(Recognizer):
    def learn(self, text: str, target: str) -> None:
        """Learn nothing before the next fit."""


class Stubborn(Recognizer):
    def learn(self, text: str, target: str) -> None:
        if self.memory_.look_up(text) is None:
            super().learn(text, target)


class Unforgiving(Recognizer):
    def forget(self, text: str) -> None:
        """Keep it."""


class Sparing(Recognizer):
    def recognize(self, X: Collection[str], top_k: int = 5, **asked: Any) -> list[Recognition]:
        return super().recognize(list(dict.fromkeys(X)), top_k, **asked)


class Gregarious(Recognizer):
    def recognize(self, X: Collection[str], top_k: int = 5, **asked: Any) -> list[Recognition]:
        answers = super().recognize(X, top_k, **asked)
        return [replace(a, probability=a.probability / len(answers)) for a in answers]


class Generous(Changed):
    def recognize(self, X: Collection[str], top_k: int = 5, **asked: Any) -> list[Recognition]:
        return super().recognize(X, 5, **asked)


class Boastful(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        all_sure = tuple(replace(c, probability=0.9) for c in answer.candidates)
        return replace(answer, candidates=all_sure, probability=0.9 if all_sure else 0.0)


class Modest(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        return replace(answer, probability=answer.probability / 2)


class Impossible(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        return replace(
            answer,
            candidates=tuple(replace(c, probability=1.5) for c in answer.candidates),
            probability=1.5,
        )


class Rising(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        backwards = answer.candidates[::-1]
        return replace(answer, candidates=backwards)


class Guessing(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        if answer.candidates:
            return answer
        guess = (Candidate("taxi", 0.6, "model"),)
        return Recognition(answer.text, State.MATCHED, "taxi", 0.6, guess)


class Squeamish(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        answer.text.encode()
        return answer


class Tidy(Changed):
    def changed(self, answer: Recognition) -> Recognition:
        return replace(answer, text=answer.text.replace("\0", ""))


class Short(Recognizer):
    def fit(self, X: Collection[str], y: Collection[str], **known: Any) -> "Short":
        if any(len(text) > 5000 for text in X):
            raise ValueError("too long")
        return super().fit(X, y, **known)


class Moody(Changed):
    """Answers by how often any of its kind was fitted before."""

    def fit(self, X: Collection[str], y: Collection[str], **known: Any) -> "Moody":
        self.fits_ = next(FITS)
        return super().fit(X, y, **known)

    def changed(self, answer: Recognition) -> Recognition:
        return replace(
            answer,
            candidates=tuple(replace(c, example=str(self.fits_)) for c in answer.candidates),
        )


class Vain(Changed):
    """Knows what `bundle` does not save."""

    def changed(self, answer: Recognition) -> Recognition:
        return replace(
            answer, candidates=tuple(replace(c, example="me") for c in answer.candidates)
        )


class Distracted(Changed):
    """Cannot answer once it was taught among others."""

    def recognize(self, X: Collection[str], top_k: int = 5, **asked: Any) -> list[Recognition]:
        if hasattr(self, "memory_") and self.memory_.look_up("quartz lantern aaa 1"):
            raise KeyError("busy")
        return super().recognize(X, top_k, **asked)

    def forget(self, text: str) -> None:
        if "quartz lantern aaa" not in text:
            super().forget(text)


class Swayed(Distracted):
    """Answers everything by what it learned last."""

    def recognize(self, X: Collection[str], top_k: int = 5, **asked: Any) -> list[Recognition]:
        answers = Recognizer.recognize(self, X, top_k, **asked)
        if self.memory_.look_up("quartz lantern aaa 1"):
            return [replace(answer, target="lamp", state=State.MATCHED) for answer in answers]
        return answers


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Hasty, "raises no NotFittedError"),
        (Forgetful, "does not know by heart that 'corner books' is 'books'"),
        (Slow, "learned 'lamp', but answers 'quartz lantern 5' by"),
        (Stubborn, "learned 'light', but answers 'quartz lantern 5' by 'lamp'"),
        (Unforgiving, "by what it was told to forget"),
        (Sparing, "in another order, or not each repeat"),
        (Gregarious, "a text alone otherwise than among others"),
        (Generous, "gives more than 1 candidates"),
        (Boastful, "they sum to"),
        (Impossible, "outside 0..1"),
        (Rising, "they do not fall"),
        (Modest, "is not as sure as its best answer"),
        (Guessing, "answers '', which is like nothing it knows"),
        (Squeamish, "fails at the text '.ud83d': UnicodeEncodeError"),
        (Tidy, "fails at the text 'taxi.x00books'"),
        (Short, "cannot be fitted on odd texts: ValueError"),
        (Moody, "fitted twice alike, answers otherwise"),
        (Vain, "saved, answers otherwise"),
        (Distracted, "fails while it is taught: KeyError"),
        (Swayed, "while taught other texts, answers"),
    ],
)
def test_a_recogniser_that_breaks_a_rule_is_told_which(broken: type[Recognizer], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_recognizer(broken())
