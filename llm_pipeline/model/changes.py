"""A recogniser brought up to date with what texts mean since it was trained."""

from collections.abc import Iterable
from itertools import groupby

from llm_pipeline.model.recognizer import Recognizer


def follow(recognizer: Recognizer, changes: Iterable[tuple[str, str | None]]) -> None:
    """Let texts mean their targets from now on, in this order; None: nothing any more."""
    for learned, same in groupby(changes, lambda change: change[1] is not None):
        if learned:
            recognizer.learn_all([(text, target or "") for text, target in same])
        else:
            for text, _ in same:
                recognizer.forget(text)
