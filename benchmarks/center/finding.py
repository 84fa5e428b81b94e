"""What searches find on real descriptors: a scan of all texts says what there is to find."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import numpy as np
import pandas as pd
from rapidfuzz.distance import OSA

from center.alone import alone
from center.loading import Run, ingested
from center.queries import mistyped, part
from center.results import Goal
from center.serving import MAPPINGS, client, serving
from llm_pipeline.config import Settings
from llm_pipeline.domain.text import normalize
from llm_pipeline.errors import InvalidInput

SET = "toronto_pcard_2011_2018/text_label.csv.gz"
STORE = "recall"
ASKED = 300
SHOWN = 50
SEED = 23
Maker = Callable[[str, "Corpus", random.Random], "Question | None"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """All texts, their distinct words, and all in one string to look for what occurs nowhere."""

    texts: list[str]
    words: list[str]
    everything: str

    @classmethod
    def of(cls, texts: list[str]) -> Self:
        words = sorted({word for text in texts for word in text.split()})
        return cls(texts, words, "\n".join(texts))


@dataclass(frozen=True, slots=True)
class Question:
    """What is typed, and the normalised texts that it should find."""

    q: str
    known: frozenset[str]


def recall(run: Run) -> None:
    """Recall at 50 of parts that occur, and of words with a slip that occur nowhere."""
    if run.data is None:
        raise InvalidInput(f"`recall` needs --data FOLDER with {SET}")
    path = run.file("recall.csv")
    texts = _distinct(run.data / SET, path)
    settings = run.stores.fresh(STORE)
    alone(ingested, settings, path)
    for kind, make, least in (("exact parts", _exact, 0.98), ("typos", _typo, 0.95)):
        questions = _questions(make, texts)
        found = _recall(settings, questions)
        run.results.add(
            f"recall at {SHOWN}, {kind}",
            f"{len(questions)} queries, {(found < 1).sum()} of them found less than all",
            "substring scan" if make is _exact else "edit-distance scan",
            float(found.mean()),
            Goal("at least", least),
        )
    run.stores.drop(STORE)


def _distinct(source: Path, path: Path) -> list[str]:
    """Write the distinct texts of a set to a file; return their normalised forms."""
    texts = pd.read_csv(source, dtype=str, keep_default_na=False)["text"].drop_duplicates()
    texts.to_csv(path, index=False)
    return sorted(set(texts.map(normalize)) - {""})


def _questions(make: Maker, texts: list[str]) -> list[Question]:
    dice = random.Random(SEED)  # noqa: S311
    corpus = Corpus.of(texts)
    made: list[Question] = []
    while len(made) < ASKED:
        question = make(dice.choice(texts), corpus, dice)
        if question is not None:
            made.append(question)
    return made


def _exact(text: str, corpus: Corpus, dice: random.Random) -> Question | None:
    """A word, a part of one, a number, or several of them in any order."""
    words = [word for word in text.split() if len(word) >= 3]
    if not words:
        return None
    chosen = dice.sample(words, dice.randint(1, min(3, len(words))))
    if dice.random() < 0.5:
        chosen[0] = part(chosen[0], dice)
    known = frozenset(one for one in corpus.texts if all(word in one for word in chosen))
    return Question(" ".join(chosen), known)


def _typo(text: str, corpus: Corpus, dice: random.Random) -> Question | None:
    """A word with one slip; what is known are the texts with the words nearest to it."""
    long = [word for word in text.split() if len(word) >= 5 and word.isalpha()]
    if not long:
        return None
    wrong = mistyped(dice.choice(long), dice)
    if wrong in corpus.everything:
        return None
    distance = np.array([OSA.distance(wrong, word, score_cutoff=2) for word in corpus.words])
    near = {corpus.words[place] for place in np.flatnonzero(distance == distance.min())}
    return Question(wrong, frozenset(one for one in corpus.texts if near & {*one.split()}))


def _recall(settings: Settings, questions: list[Question]) -> np.ndarray:
    with serving(settings) as address, client(address) as http:
        return np.array([_share(http, question) for question in questions])


def _share(http: httpx.Client, question: Question) -> float:
    answer = http.get(MAPPINGS, params={"q": question.q, "limit": SHOWN}).raise_for_status()
    found = {normalize(item["text"]) for item in answer.json()["items"]}
    return len(found & question.known) / min(SHOWN, len(question.known))
