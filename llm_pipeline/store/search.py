"""Search: a page of what a filter matches, in any order, and how many there are.

Counting stops at a cap, and everything at a time limit: the answer says so.
"""

from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import hits, words
from llm_pipeline.store.asking import Asked, ask, forgive
from llm_pipeline.store.counters import counted
from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.filters import Filter
from llm_pipeline.store.gathering import gather
from llm_pipeline.store.ordering import Place, Sort, place_at, places, position
from llm_pipeline.store.stretches import Span

# PostgreSQL looks at each row that it counts, SQLite's index at none.
COUNT_CAP = {"sqlite": 10_000, "postgresql": 1_000}
# More are not sorted by what no index keeps in order.
SORT_CAP = 50_000
SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of a page, and what is known of the rest.

    Attributes
    ----------
    next_position : where the next page begins; none after the last
    timed_out : the time limit was reached, there may be more than was found
    read_as : words that nothing contains, and what they were taken for
    """

    ids: list[int]
    next_position: str | None
    total: int
    total_is_exact: bool
    timed_out: bool = False
    read_as: dict[str, tuple[str, ...]] = field(default_factory=dict)


def find(
    session: Session,
    wanted: Filter,
    sort: Sort = Sort.NEWEST,
    after: str | None = None,
    limit: int = 50,
    seconds: float | None = None,
) -> Found:
    """Return a page of what a filter matches, behind the position `after`; `SECONDS` is the time
    limit unless another is given."""
    place = place_at(session, sort, after)
    known = counted(session, wanted)
    cap = COUNT_CAP[session.get_bind().dialect.name]
    words.vocabulary(session)  # reading it for the first time takes seconds of no search
    with Deadline(session, SECONDS if seconds is None else seconds) as deadline:
        asked = ask(deadline, wanted)
        seek = partial(_page, deadline, sort, place, limit + 1, 0 if known is not None else cap)
        page, total = seek(asked)
        if not page and asked.is_unproven:
            nowhere = place is None and not asked.facets and not deadline.reached
            meant = forgive(deadline, asked, wanted, nowhere=nowhere)
            if meant is not asked:
                asked = meant
                page, total = seek(asked)
        if known is None and total is None:
            is_all = place is None and len(page) <= limit
            total = len(page) if is_all else hits.count(deadline, asked.conditions, cap + 1)
    total = max(total or 0, len(page))
    return Found(
        ids=[one.id for one in page[:limit]],
        next_position=position(sort, page[limit - 1]) if len(page) > limit else None,
        total=min(total, cap) if known is None else known,
        total_is_exact=known is not None or (total <= cap and not deadline.reached),
        timed_out=deadline.reached,
        read_as=asked.read_as,
    )


def clause(session: Session, wanted: Filter, *, literally: bool = False) -> ColumnElement[bool]:
    """Return what a filter asks as a condition for `WHERE` over everything that it matches.

    InvalidInput if looking its words up takes too long, and `literally` also if a word is in no
    text and would be taken for another.
    """
    with Deadline(session, SECONDS) as deadline:
        asked = forgive(deadline, ask(deadline, wanted), wanted)
    if deadline.reached:
        raise InvalidInput(f"looking up {wanted.q!r} takes longer than {SECONDS:g} s; narrow it")
    if literally and asked.read_as:
        word, meant = next(iter(asked.read_as.items()))
        raise InvalidInput(f"no text contains {word!r}; did you mean {' or '.join(meant)}?")
    return hits.clause(asked.conditions, is_sqlite=deadline.is_sqlite)


def _page(
    deadline: Deadline, sort: Sort, after: Place | None, limit: int, cap: int, asked: Asked
) -> tuple[list[Place], int | None]:
    """Return a page, and how many match if that came with it."""
    if sort.is_by_id:
        span = Span(limit, None if after is None else after.id, sort is Sort.NEWEST)
        gathered = gather(deadline, asked, span, cap)
        return [Place(one) for one in gathered.ids], gathered.total
    found = hits.count(deadline, asked.conditions, SORT_CAP + 1)
    if found > SORT_CAP:
        raise InvalidInput(
            f"more than {SORT_CAP:,} mappings match, too many to sort by {sort.value!r}: "
            "narrow the search, or sort by 'newest' or 'oldest'"
        )
    return places(deadline, asked.conditions, sort, after, limit), found
