"""A recogniser brought up to date with what texts mean since it was trained."""

from collections.abc import Iterable

from llm_pipeline.model.recognizer import Recognizer


def follow(recognizer: Recognizer, changes: Iterable[tuple[str, str | None]]) -> None:
    """Let texts mean their targets from now on, in this order; None: nothing any more."""
    for text, target in changes:
        if target is None:
            recognizer.forget(text)
        else:
            recognizer.learn(text, target)
