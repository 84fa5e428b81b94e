"""What every recogniser must do, whatever it is made of: `check_recognizer` tries it.

As scikit-learn's `check_estimator` does for estimators. The texts are made up; no score is judged.
"""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from llm_pipeline.domain.records import Recognition, State
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer

TAUGHT = {
    "city taxi 1": "taxi",
    "airport taxi 20": "taxi",
    "royal taxi ltd": "taxi",
    "corner books": "books",
    "campus books #7": "books",
    "old books & more": "books",
    "grand hotel": "hotel",
    "hotel central 9": "hotel",
    "park hotel": "hotel",
}
LIKE = ["moon taxi", "rare books 5", "lake hotel", "hotel taxi", "books"]
STRANGE = ["", "!!!", " \t\n", "東京", "🍕", "xqzw"]
ANY = [
    *STRANGE,
    "a" * 10_000,
    "taxi " * 2_000,
    "e\u0301" * 5_000,
    "שלום עולם 12",
    "مقهى القاهرة",
    "\u202etaxi\u202c",
    "👩‍👩‍👧‍👦 taxi 🍕",
    "\ud83d",
    "\udc00 taxi",
    "taxi\0books",
    "\0",
]
QUESTIONS = [*TAUGHT, *LIKE, *STRANGE]
TURNS = 200
SAME = 1e-6


def check_recognizer(recognizer: Recognizer) -> None:
    """Raise AssertionError with what a recogniser does wrong.

    Clones of it are fitted; it stays as it is.
    """
    for rule in RULES:
        rule(clone(recognizer))


def _wants_fitting(recognizer: Recognizer) -> None:
    error = _error(lambda: recognizer.recognize(["taxi"]))
    _demand(isinstance(error, NotFittedError), f"not fitted, raises no NotFittedError: {error!r}")


def _learns_by_heart(recognizer: Recognizer) -> None:
    for answer, target in zip(
        _taught(recognizer).recognize([*TAUGHT]), TAUGHT.values(), strict=True
    ):
        _demand(
            answer.state == State.MATCHED and answer.target == target,
            f"does not know by heart that {answer.text!r} is {target!r}: {answer}",
        )


def _learns_at_once(recognizer: Recognizer) -> None:
    for learner in (_taught(recognizer), clone(recognizer).fit([], [])):
        for target in ("lamp", "light"):
            learner.learn("Quartz Lantern #5", target)
            for text in ("quartz lantern 5", "QUARTZ LANTERN 77"):
                found = _best(learner, text)
                _demand(found == target, f"learned {target!r}, but answers {text!r} by {found!r}")


def _forgets(recognizer: Recognizer) -> None:
    _taught(recognizer).learn("quartz lantern 5", "lamp")
    recognizer.forget("Quartz Lantern #5")
    for text in ("quartz lantern 5", "quartz lantern 77"):
        (answer,) = recognizer.recognize([text])
        told = [candidate.target for candidate in answer.candidates]
        _demand("lamp" not in told, f"answers {text!r} by what it was told to forget: {answer}")
    recognizer.forget("a text it never knew")


def _keeps_order(recognizer: Recognizer) -> None:
    _taught(recognizer)
    asked = [*QUESTIONS, *reversed(QUESTIONS), QUESTIONS[0]]
    answers = recognizer.recognize(asked)
    _demand([a.text for a in answers] == asked, "answers in another order, or not each repeat")
    alone = [recognizer.recognize([text])[0] for text in asked]
    _demand_same(answers, alone, "answers a text alone otherwise than among others")
    _demand(recognizer.recognize([]) == [], "finds answers where nothing was asked")


def _gives_probabilities(recognizer: Recognizer) -> None:
    _taught(recognizer)
    for top_k in (1, 2, 5):
        for answer in recognizer.recognize(QUESTIONS, top_k):
            chances = [candidate.probability for candidate in answer.candidates]
            _demand(len(chances) <= top_k, f"gives more than {top_k} candidates: {answer}")
            _demand(all(0 <= c <= 1 for c in chances), f"a probability outside 0..1: {answer}")
            _demand(sorted(chances, reverse=True) == chances, f"they do not fall: {answer}")
            _demand(sum(chances) <= 1 + 1e-9, f"they sum to {sum(chances)}: {answer}")
            first = chances[0] if chances else 0.0
            _demand(answer.probability == first, f"is not as sure as its best answer: {answer}")


def _abstains(recognizer: Recognizer) -> None:
    _demand_unknown(_taught(recognizer), STRANGE)
    _demand_unknown(clone(recognizer).fit([], []), QUESTIONS)


def _takes_any_text(recognizer: Recognizer) -> None:
    _taught(recognizer)
    for text in ANY:
        error = _error(lambda text=text: _use(recognizer, text))  # type: ignore[misc]
        _demand(error is None, f"fails at the text {text[:40]!r}: {error!r}")
    error = _error(lambda: clone(recognizer).fit(ANY, ["any"] * len(ANY)).recognize(ANY))
    _demand(error is None, f"cannot be fitted on odd texts: {error!r}")


def _is_deterministic(recognizer: Recognizer) -> None:
    one, other = (_taught(clone(recognizer)).recognize(QUESTIONS) for _ in range(2))
    _demand_same(one, other, "fitted twice alike, answers otherwise")
    again = _taught(recognizer).recognize(QUESTIONS)
    _demand_same(recognizer.recognize(QUESTIONS), again, "asked twice, answers otherwise")


def _survives_saving(recognizer: Recognizer) -> None:
    _taught(recognizer).learn("🍕 मोमो 7", "food")
    recognizer.learn("\ud83d taxi\0", "half")
    recognizer.forget("grand hotel")
    with tempfile.TemporaryDirectory() as folder:
        bundle.save(recognizer, Path(folder))
        loaded = bundle.load(Path(folder))
    asked = [*QUESTIONS, "🍕 मोमो 8", "\ud83d taxi\0"]
    _demand_same(loaded.recognize(asked), recognizer.recognize(asked), "saved, answers otherwise")


def _answers_while_taught(recognizer: Recognizer) -> None:
    _taught(recognizer)
    asked, ended = [*TAUGHT, *STRANGE], Event()
    before = _told(recognizer, asked)
    answers: list[list[tuple[str, str | None]]] = []

    def ask() -> None:
        while not ended.is_set():
            answers.append(_told(recognizer, asked))
        answers.append(_told(recognizer, asked))  # however few of them met the teaching

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask)
        try:
            for turn in range(TURNS):
                other = f"quartz lantern {'abcdefghij'[turn % 10] * 3} {turn}"
                recognizer.learn(other, "lamp")
                recognizer.forget(other)
        finally:
            ended.set()
    _demand(asking.exception() is None, f"fails while it is taught: {asking.exception()!r}")
    for during in answers:
        _demand(during == before, f"while taught other texts, answers {during}, not {before}")


RULES: tuple[Callable[[Recognizer], None], ...] = (
    _wants_fitting,
    _learns_by_heart,
    _learns_at_once,
    _forgets,
    _keeps_order,
    _gives_probabilities,
    _abstains,
    _takes_any_text,
    _is_deterministic,
    _survives_saving,
    _answers_while_taught,
)


def _taught(recognizer: Recognizer) -> Recognizer:
    return recognizer.fit([*TAUGHT], [*TAUGHT.values()])


def _best(recognizer: Recognizer, text: str) -> str:
    return str(recognizer.predict([text])[0])


def _told(recognizer: Recognizer, texts: Sequence[str]) -> list[tuple[str, str | None]]:
    return [(answer.state.value, answer.target) for answer in recognizer.recognize(texts)]


def _use(recognizer: Recognizer, text: str) -> None:
    (answer,) = recognizer.recognize([text])
    _demand(answer.text == text, f"gives {answer.text[:40]!r} back")
    recognizer.learn(text, "any")
    recognizer.recognize([text])
    recognizer.forget(text)
    (after,) = recognizer.recognize([text])
    _demand("any" not in [c.target for c in after.candidates], "does not forget it")


def _demand_unknown(recognizer: Recognizer, texts: Sequence[str]) -> None:
    for answer in recognizer.recognize(texts):
        _demand(
            answer.state == State.NO_MATCH and answer.target is None,
            f"answers {answer.text!r}, which is like nothing it knows: {answer}",
        )


def _demand_same(
    found: Sequence[Recognition], wanted: Sequence[Recognition], otherwise: str
) -> None:
    for one, other in zip(found, wanted, strict=True):
        # The last bits of a sum may depend on what else is added up beside it.
        near = abs(one.probability - other.probability) < SAME
        _demand(near and _shown(one) == _shown(other), f"{otherwise}: {one} is not {other}")


def _shown(answer: Recognition) -> tuple[object, ...]:
    told = [(c.target, c.evidence, c.example) for c in answer.candidates]
    return answer.text, answer.state, answer.target, told


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _error(call: Callable[[], object]) -> BaseException | None:
    """Return what a call raises, of whatever kind."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).exception()
