"""The suites: what every row must be (`SUITES`), and what all rows together (`FIGURES`).

A data rule is one line here; its Dagster asset check appears by itself. Rules for rows name a
column of `store.gate_rows`, rules for figures one of the numbers of `store.gate_figures`, where a
number that cannot be told yet is none and passes. Each limit has its reason beside it. A warning is
shown and told; what is critical also holds what comes after the gate.
"""

from llm_pipeline.domain.text import MAX_TEXT_LENGTH
from llm_pipeline.gates.rules import (
    WARNING,
    Rule,
    between,
    filled,
    mostly_below,
    unique,
    within,
)

# Above this share of one target, always answering it is right nine times in ten: accuracy says
# little then, and the other targets are hardly learned. Toronto's largest of 354 has 9 %.
LARGEST_SHARE = 0.9
# Two people who disagree about one text in ten need a rule of their own before a recogniser can
# learn one. Of Toronto's texts, whose merchants sell under several codes, 3 % had several.
CONFLICT_SHARE = 0.1
# A week beside the four before it. Loading a file of years is no error, nor is a quiet week: five
# times as much or a fifth is worth a look, and holds nothing.
QUIET, BUSY = 0.2, 5.0
# A training set grows; a fifth less than the one before means that much was put back or retired.
SHRUNK = 0.8
# A held-out text whose words, written without spaces, are those of a teaching one tests nothing. On
# Toronto 3 % are so; one in twenty makes accuracy look better by up to five points, and where it is
# one in five, the test says nothing about new texts.
LEAKED, LEAKED_MUCH = 0.05, 0.2
# Normalised forms and keys follow from the texts. A few that do not may be left by an older
# version of the cleaning rules; one in a hundred means that they have to be made anew.
STALE_MUCH = 0.01
# A probability above this is as good as a claim to be never wrong, and no model is for most texts.
CERTAIN = 0.9999
# A model that leaves nine in ten texts without any candidate has lost its memory or its weights.
UNANSWERED = 0.9

_SCHEMA = between("schema_gaps", 0, 0, "the database's tables are not those of this version")

SUITES: dict[str, tuple[Rule, ...]] = {
    "submissions": (
        filled("text", "the text is empty"),
        between(
            "text_length", None, MAX_TEXT_LENGTH, f"the text is over {MAX_TEXT_LENGTH} characters"
        ),
        within("text_state", ["ok"], "the text cannot be read"),
        within("target_state", ["known", "none"], "the target cannot be used"),
        within(
            "time_state", ["ok", "none"], "the time is not a date such as 2026-11-22 or 20261122"
        ),
        within("amount_state", ["ok", "none"], "the amount is not a number such as 12.50"),
    ),
    "approved_mappings": (
        filled("target", "a live mapping points at no entry of the catalogue"),
        within("active", [True], "a live mapping points at a retired or unknown target", WARNING),
        unique("normalized", "a text has two live mappings"),
        between("normalized_length", 1, None, "a live mapping has a text without any word"),
    ),
    "training_set": (
        filled("target", "a text has a target that the catalogue does not know"),
        within("active", [True], "a text has a target that is retired or unknown"),
        unique("normalized", "a text stands twice in the training set"),
        between("text_length", 1, MAX_TEXT_LENGTH, "a text is empty or too long"),
    ),
    "predictions": (
        filled("probability", "a suggestion has no probability"),
        between("probability", 0.0, 1.0, "a probability is outside 0 to 1"),
        within("active", [True], "a suggestion points at a retired or unknown target"),
        mostly_below("probability", CERTAIN, 0.5, "most answers claim to be certain"),
    ),
}

FIGURES: dict[str, tuple[Rule, ...]] = {
    "submissions": (
        _SCHEMA,
        between("doubled_rows", 0, 0, "a row of a file was taken in twice"),
        between(
            "conflict_share", None, CONFLICT_SHARE, "senders disagree about many texts", WARNING
        ),
        between(
            "volume_ratio",
            QUIET,
            BUSY,
            "the last week brought far more or less than usual",
            WARNING,
        ),
    ),
    "approved_mappings": (
        _SCHEMA,
        between("largest_share", None, LARGEST_SHARE, "nearly all texts mean one target", WARNING),
    ),
    "training_set": (
        _SCHEMA,
        between("texts", 2, None, "there are too few texts to learn from"),
        between("targets", 2, None, "there is only one target to choose from", WARNING),
        between("largest_share", None, LARGEST_SHARE, "nearly all texts mean one target", WARNING),
        between("conflict_share", None, CONFLICT_SHARE, "many texts changed their label", WARNING),
        between("leaked_share", None, LEAKED, "texts that test are also taught", WARNING),
        between("leaked_share", None, LEAKED_MUCH, "many texts that test are also taught"),
        between(
            "stale_share", None, 0.0, "a normalised form does not follow from its text", WARNING
        ),
        between("stale_share", None, STALE_MUCH, "normalised forms do not follow from their texts"),
        between("volume_ratio", SHRUNK, None, "it is much smaller than the one before", WARNING),
    ),
    "predictions": (
        _SCHEMA,
        between("largest_share", None, LARGEST_SHARE, "nearly all answers are one target", WARNING),
        between("unanswered_share", None, UNANSWERED, "hardly any text has an answer", WARNING),
    ),
}


def rules_of(suite: str) -> tuple[Rule, ...]:
    """Return all rules of a suite: those for rows, then those for figures."""
    return (*SUITES[suite], *FIGURES[suite])


def limits(suite: str) -> dict[str, list[str]]:
    """Return what is allowed of each figure, as a person says it.

    >>> limits("predictions")["largest_share"]
    ['at most 0.9 (warning)']
    """
    found: dict[str, list[str]] = {}
    for rule in FIGURES[suite]:
        told = _between(rule.arguments["min_value"], rule.arguments["max_value"])
        told += f" ({WARNING})" if rule.severity == WARNING else ""
        found.setdefault(rule.column, []).append(told)
    return found


def _between(low: float | None, high: float | None) -> str:
    """Say between which ends a figure may be.

    >>> _between(0, 0), _between(0.5, None)
    ('0', 'at least 0.5')
    """
    if low is not None and low == high:
        return f"{low:g}"
    ends = (("at least", low), ("at most", high))
    return " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)
