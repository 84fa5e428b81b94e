"""Search: a page of what a filter matches, in any order, and how many there are.

Counting stops at 10,000, and everything at a time limit: the answer says so.
"""

from dataclasses import dataclass, field, replace

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import hits
from llm_pipeline.store.asking import MOST_GATHERED, Asked, Word, ask
from llm_pipeline.store.counters import counted
from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.filters import MOST_TOKENS, Filter
from llm_pipeline.store.hits import Span
from llm_pipeline.store.ordering import Place, Sort, place_at, places, position

COUNT_CAP = 10_000
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
    seconds: float = SECONDS,
) -> Found:
    """Return a page of what a filter matches, behind the position `after`."""
    deadline = Deadline(session, seconds)
    place = place_at(session, sort, after)
    asked = ask(deadline, wanted)
    gathered = _gathered(deadline, asked)
    page = _page(deadline, asked, gathered, sort, Piece(place, limit + 1))
    total = counted(session, wanted)
    if total is None and place is None and len(page) <= limit and not deadline.reached:
        total = len(page)
    if total is None:
        total, is_exact = _capped(deadline, asked, gathered, len(page))
    else:
        is_exact = True
    return Found(
        ids=[one.id for one in page[:limit]],
        next_position=position(sort, page[limit - 1]) if len(page) > limit else None,
        total=total,
        total_is_exact=is_exact,
        timed_out=deadline.reached,
        read_as=asked.read_as,
    )


def clause(session: Session, wanted: Filter, seconds: float = SECONDS) -> ColumnElement[bool]:
    """Return what a filter asks as a condition for `WHERE` over everything that it matches."""
    deadline = Deadline(session, seconds)
    return hits.clause(ask(deadline, wanted).conditions, is_sqlite=deadline.is_sqlite)


def _capped(
    deadline: Deadline, asked: Asked, gathered: set[int] | None, least: int
) -> tuple[int, bool]:
    if gathered is not None:
        found = len(gathered)
    else:
        found = hits.count(deadline, asked.conditions, COUNT_CAP + 1)
    exact = found <= COUNT_CAP and not deadline.reached
    return min(max(found, least), COUNT_CAP), exact


@dataclass(frozen=True, slots=True)
class Piece:
    """What is wanted of an order: so many places behind one."""

    after: Place | None
    limit: int


def _page(
    deadline: Deadline, asked: Asked, gathered: set[int] | None, sort: Sort, piece: Piece
) -> list[Place]:
    after = piece.after
    if not sort.is_by_id:
        _refuse_too_many(deadline, asked, sort)
        return places(deadline, asked.conditions, sort, after, piece.limit)
    newest = sort is Sort.NEWEST
    if gathered is not None and len(gathered) <= COUNT_CAP:
        ids = sorted(gathered, reverse=newest)
        if after is not None:
            ids = [one for one in ids if (one < after.id if newest else one > after.id)]
    else:
        span = Span(piece.limit, None if after is None else after.id, newest)
        ids = hits.ids(deadline, asked.conditions, span)
    return [Place(one) for one in ids[: piece.limit]]


def _refuse_too_many(deadline: Deadline, asked: Asked, sort: Sort) -> None:
    if hits.count(deadline, asked.conditions, SORT_CAP + 1) > SORT_CAP:
        raise InvalidInput(
            f"more than {SORT_CAP:,} mappings match, too many to sort by {sort.value!r}: "
            "narrow the search, or sort by 'newest' or 'oldest'"
        )


def _gathered(deadline: Deadline, asked: Asked) -> set[int] | None:
    """Return the ids that match, more than the cap when there are more, where words are too many
    for one look at the index; none where one look is enough, or would not have told all.

    Rows need not be looked at one by one then: where thousands of words contain a part, ten of
    them are mostly in more mappings than the cap.
    """
    broad = [word for word in asked.words if not word.condition.tokens]
    if not broad or len(broad) < len(asked.words) or _are_few(deadline, asked):
        return None
    driver = min(broad, key=lambda word: len(word.meant))
    found = _by_batches(deadline, asked, driver)
    all_told = len(driver.meant) < MOST_GATHERED and not deadline.reached
    return found if all_told or len(found) > COUNT_CAP else None


def _are_few(deadline: Deadline, asked: Asked) -> bool:
    """Whether the facets alone leave so few that looking at them is cheap."""
    held = [one for one in asked.facets if one.tokens]
    return bool(held) and hits.count(deadline, held, COUNT_CAP) < COUNT_CAP


def _by_batches(deadline: Deadline, asked: Asked, driver: Word) -> set[int]:
    rest = [one for one in asked.conditions if one is not driver.condition]
    found: set[int] = set()
    for start in range(0, len(driver.meant), MOST_TOKENS):
        some = replace(driver.condition, tokens=driver.meant[start : start + MOST_TOKENS])
        found.update(hits.ids(deadline, [*rest, some], Span(COUNT_CAP + 1)))
        if len(found) > COUNT_CAP or deadline.reached:
            break
    return found
