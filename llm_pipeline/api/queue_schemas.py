"""The JSON of the review queue, and the opaque word that says what a reviewer saw."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from llm_pipeline.api.deps import Word
from llm_pipeline.api.schemas import CandidateOut, Incoming
from llm_pipeline.domain.records import Action, Candidate
from llm_pipeline.domain.review import Group, Order, Seen
from llm_pipeline.domain.text import MAX_NORMALIZED_BYTES
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.lease_groups import Leased

MOST_AT_ONCE = 50
EVIDENCE = 3

GroupKey = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_NORMALIZED_BYTES, pattern=r"^[^\x00]*$")
]
Token = Annotated[str, StringConstraints(min_length=1, max_length=8 * MAX_NORMALIZED_BYTES)]


def token_of(seen: Seen) -> str:
    """Return what a reviewer saw as an opaque word.

    >>> saw = Seen("shop", 7, 3, 2, 2, 40, None)
    >>> seen_in(token_of(saw)) == saw
    True
    """
    fields = [getattr(seen, name) for name in Seen.__slots__]
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def seen_in(token: str) -> Seen:
    """Return what `token_of` was given.

    A word that somebody made up claims to have seen something, and is compared with what is there.
    """
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        key, *numbers = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        seen = Seen(key, *numbers)
    except (ValueError, TypeError, binascii.Error):
        seen = None
    if seen is None or not _is_whole(seen):
        raise InvalidInput(
            f"token {token[:40]!r} is not one: pass `token` of a group as it was given"
        )
    return seen


def _is_whole(seen: Seen) -> bool:
    *numbers, offered = (getattr(seen, name) for name in Seen.__slots__[1:])
    small = all(type(number) is int and 0 <= number < 2**63 for number in numbers)
    no_target = offered is None
    named = isinstance(seen.key, str) and "\x00" not in seen.key
    return named and small and (no_target or (type(offered) is int and 0 < offered < 2**63))


class _FromRecord(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class WaitingTextOut(_FromRecord):
    """One of the texts of a group."""

    mapping_id: int
    text: str
    rows: int
    proposed_target: str | None
    suggested_target: str | None
    probability: float
    conflict: bool


class SuggestedOut(_FromRecord):
    """What is suggested for most texts of a group; `mappings` of those looked at have it."""

    target: str
    probability: float
    model_version: str
    mappings: int


class ProposalOut(_FromRecord):
    """How often a submitter proposed a target."""

    target: str
    submitter: str
    rows: int


class OpinionOut(_FromRecord):
    """What one of two reviewers said who did not agree."""

    actor: str
    action: Action
    target: str | None


class LeaseOut(_FromRecord):
    """Who holds a group, and until when."""

    holder: str
    expires_at: datetime


class NearGroupOut(_FromRecord):
    """A group like another one, which the same decision may settle: add its token to that."""

    key: str
    token: str
    mappings: int
    rows: int
    texts: list[WaitingTextOut]
    offered: str | None
    suggestion: SuggestedOut | None


class GroupOut(_FromRecord):
    """A group of like texts that waits.

    `offered` is what approving without a target means; `differ` says that the texts looked at do
    not all propose or suggest it. `token` says which texts were seen, as they stood: a decision
    names it. `evidence` is what the recogniser says of the first text now, with the nearest
    approved texts; null where it was not asked for.
    """

    key: str
    token: str
    mappings: int
    rows: int
    value: float
    uncertainty: float
    conflicts: int
    oldest_at: datetime
    looked_at: int
    texts: list[WaitingTextOut]
    offered: str | None
    differ: bool
    suggestion: SuggestedOut | None
    proposals: list[ProposalOut]
    opinions: list[OpinionOut]
    lease: LeaseOut | None
    evidence: list[CandidateOut] | None = None
    near: list[NearGroupOut] | None = None

    @classmethod
    def plain(cls, group: Group) -> Self:
        return cls(**_fields(group))

    @classmethod
    def explained(cls, leased: Leased, candidates: Sequence[Candidate]) -> Self:
        evidence = [
            CandidateOut(
                target=one.target,
                probability=one.probability,
                evidence=one.evidence,
                example=one.example,
                examples=list(one.examples),
            )
            for one in candidates
        ]
        near = [NearGroupOut.model_validate(_fields(group)) for group in leased.near]
        return cls(**_fields(leased.group), evidence=evidence, near=near)


def _fields(group: Group) -> dict[str, Any]:
    fields = {name: getattr(group, name) for name in Group.__slots__ if name != "seen"}
    return fields | {"token": token_of(group.seen)}


class NewLease(Incoming):
    """Hold `groups` groups, the first in an order, for some minutes; 0 only renews."""

    order: Order = Order.VALUE
    groups: int = Field(default=1, ge=0, le=MOST_AT_ONCE)
    minutes: float = Field(default=10, gt=0, le=60)


class Release(Incoming):
    """Give groups back, each with those near to it; all without keys."""

    keys: list[GroupKey] | None = Field(default=None, max_length=1000)


class LeasedOut(BaseModel):
    """What a reviewer holds, and what they did since midnight (UTC), by kind."""

    items: list[GroupOut]
    today: dict[str, int]


class Released(BaseModel):
    """How many groups were given back."""

    released: int


class GroupDecisionIn(Incoming):
    """One decision about groups as they were seen, the main one first; or `undo` of the decision
    with an id."""

    action: Action
    groups: list[Token] = Field(default=[], max_length=MOST_AT_ONCE)
    target: Word | None = None
    reason: Word = ""
    decision: int | None = Field(default=None, ge=1, lt=2**63)


class GroupDecisionOut(BaseModel):
    """What a decision about groups changed; its `id` is what `undo` names.

    `arrived` texts came since the groups were seen and go on waiting, as do `left` ones: they
    changed while this ran or, for an undo, were decided again since. Groups that wait `for_second`
    are answered by one more person; those in `disputed` were answered in two ways.
    """

    id: int
    action: Action
    mappings: int
    rows: int
    displaced: int = 0
    arrived: int = 0
    left: int = 0
    for_second: list[str] = []
    disputed: list[str] = []


class InConflictOut(_FromRecord):
    """A text that waits because its submissions propose different targets."""

    mapping_id: int
    text: str
    key: str
    rows: int
    version: int
    suggested_target: str | None
    probability: float | None
    proposals: list[ProposalOut]


class AgreementOut(BaseModel):
    """How often two reviewers, neither seeing the other's answer, said the same of a group: with
    Wilson's 95 % interval, and Cohen's kappa where it is defined. `waiting` groups have one answer,
    `disputed` ones wait for a third."""

    groups: int
    agreed: int
    share: float | None
    low: float
    high: float
    kappa: float | None
    waiting: int
    disputed: int
