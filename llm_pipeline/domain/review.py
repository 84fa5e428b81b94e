"""What a reviewer is shown of a group of like texts, and what they can say of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from llm_pipeline.domain.records import Action


class Order(StrEnum):
    """Which groups come first: most rows likely to be wrong, least sure, oldest, or by lot."""

    VALUE = "value"
    UNCERTAIN = "uncertain"
    OLDEST = "oldest"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Seen:
    """Exactly what a reviewer saw of a group: all mappings waiting up to `last_id`, as they stood
    at `offset`.

    Versions only grow, and none of these mappings can leave or come back without a decision, so
    that number and sum of versions, with no decision since, prove that each stands as it was seen.
    `offered` is the id of the target that a plain approval means; `lot` tells the group from a
    later one of the same key.
    """

    key: str
    lot: int
    last_id: int
    mappings: int
    versions: int
    offset: int
    offered: int | None


@dataclass(frozen=True, slots=True)
class WaitingText:
    """One of the texts of a group."""

    mapping_id: int
    text: str
    rows: int
    proposed_target: str | None
    suggested_target: str | None
    probability: float
    conflict: bool


@dataclass(frozen=True, slots=True)
class Suggested:
    """What the recogniser suggests for most texts of a group, and for how many of those looked at;
    `probability` is their mean."""

    target: str
    probability: float
    model_version: str
    mappings: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """How often a submitter proposed a target."""

    target: str
    submitter: str
    rows: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one of two reviewers said who did not agree; no target means rejected."""

    actor: str
    action: Action
    target: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a group, and until when."""

    holder: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A group of like texts that waits.

    `offered` is the target that a plain approval means: what most texts looked at propose or, where
    nobody proposed anything, what is suggested for them; `differ` says that they do not all agree.
    `texts` are those of most rows among the `looked_at` oldest.
    """

    key: str
    mappings: int
    rows: int
    value: float
    uncertainty: float
    conflicts: int
    oldest_at: datetime
    seen: Seen
    looked_at: int
    texts: tuple[WaitingText, ...]
    offered: str | None
    differ: bool
    suggestion: Suggested | None
    proposals: tuple[Proposal, ...]
    opinions: tuple[Opinion, ...]
    lease: Lease | None
