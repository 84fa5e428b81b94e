"""How the candidates of several sources become one list for each text: the surer one wins."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from llm_pipeline.domain.records import Candidate
from llm_pipeline.model.calibration import Floats
from llm_pipeline.model.features import Ints
from llm_pipeline.model.memory import Hit
from llm_pipeline.model.sources import CatalogueNames, Near, Objects, objects

# Of several targets with one name the first in the catalogue is meant: 95 % of the securities whose
# company the name told were its first listed one.
FIRST_OF_NAME = 0.95
SUPPORT = 1e-6  # of the probability of a source that only supports another one


class Offer(NamedTuple):
    """Candidates of one source: flat arrays of text, target, probability and document."""

    source: int
    row: Ints
    target: Objects
    probability: Floats
    document: Ints


class Merged(NamedTuple):
    """Candidates of all sources, by text and falling probability; one line per text and target.

    `sources` has a bit for each that named the target; `document` is of `shown_by`, the surest
    source that has documents, or -1.
    """

    row: Ints
    target: Objects
    probability: Floats
    sources: Ints
    document: Ints
    shown_by: Ints


def offer(source: int, near: Near, probability: Floats) -> Offer:
    row, place = np.nonzero((near.target != "") & (probability > 0))
    at = (row, place)
    return Offer(source, row, near.target[at], probability[at], near.document[at])


def behind(offered: Offer, others: Collection[str], before: float = np.inf) -> Offer:
    """Let targets that another source answers for only support it, but for newer documents."""
    answered = np.fromiter((key in others for key in offered.target), bool, len(offered.target))
    supports = answered & (offered.document < before)
    return offered._replace(probability=np.where(supports, SUPPORT, 1) * offered.probability)


def with_siblings(offered: Offer, names: CatalogueNames, most: int) -> Offer:
    """Share the probability of a name among the targets that have it, the first one first."""
    shared = [place for place, n in enumerate(offered.document) if len(names.holders[n]) > 1]
    if not shared:
        return offered
    probability, rows, targets, chances, documents = offered.probability.copy(), [], [], [], []
    for place in shared:
        number = int(offered.document[place])
        others = names.holders[number][1:most]
        left = probability[place] * (1 - FIRST_OF_NAME)
        probability[place] *= FIRST_OF_NAME
        for other in others:
            rows.append(int(offered.row[place]))
            targets.append(other)
            chances.append(left / len(others))
            documents.append(number)
    return Offer(
        offered.source,
        np.concatenate([offered.row, np.array(rows, dtype=np.int64)]),
        np.concatenate([offered.target, objects(targets)]),
        np.concatenate([probability, np.array(chances)]),
        np.concatenate([offered.document, np.array(documents, dtype=np.int64)]),
    )


def merge(offers: Sequence[Offer], k: int) -> Merged:
    """Keep the `k` surest targets of each text; the surest source speaks for a target."""
    row = np.concatenate([given.row for given in offers])
    name = np.concatenate([given.target for given in offers])
    chance = np.concatenate([given.probability for given in offers])
    document = np.concatenate([given.document for given in offers])
    source = np.concatenate([np.full(len(given.row), given.source) for given in offers])
    target = pd.factorize(name)[0]
    order = np.lexsort((-chance, target, row))
    row, target, chance, source = row[order], target[order], chance[order], source[order]
    name, document = name[order], document[order]
    start = np.flatnonzero(np.diff(row, prepend=-1) | np.diff(target, prepend=-1))
    bits = np.bitwise_or.reduceat(1 << source, start) if len(start) else start
    group = np.cumsum(np.isin(np.arange(len(row)), start)) - 1
    shown = np.full(len(start), -1)
    with_document = np.flatnonzero(document >= 0)[::-1]  # the surest is written last
    shown[group[with_document]] = with_document
    # Equally sure targets keep the order of their offers, whatever other texts are asked.
    ranked = np.lexsort((order[start], -chance[start], row[start]))
    rows = row[start][ranked]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    within = np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows))))
    kept = ranked[within < k]
    at = start[kept]
    seen = shown[kept]
    return Merged(
        row[at],
        name[at],
        _within_one(row[at], chance[at]),
        bits[kept],
        np.where(seen >= 0, document[seen], -1),
        np.where(seen >= 0, source[seen], -1),
    )


def _within_one(row: Ints, chance: Floats) -> Floats:
    """Let the runners-up of each text share no more than its best answer leaves over."""
    best = np.diff(row, prepend=-1) > 0
    texts = int(row[-1]) + 1 if len(row) else 0
    left = 1 - np.bincount(row[best], chance[best], minlength=texts)
    rest = np.bincount(row[~best], chance[~best], minlength=texts)
    scale = np.minimum(1.0, left / np.maximum(rest, 1e-12))
    return np.where(best, chance, chance * scale[row])


def after_memory(hit: Hit, sure: float, likely: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Put the memory's answer first; others share what it leaves over."""
    others = (
        Candidate(
            c.target, min(sure, (1 - sure) * c.probability), c.evidence, c.example, c.examples
        )
        for c in likely
        if c.target != hit.target
    )
    same = next((c.examples for c in likely if c.target == hit.target), ())
    return (Candidate(hit.target, sure, hit.evidence, hit.example, same), *others)
