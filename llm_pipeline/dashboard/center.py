"""LLM Center: mappings by status, searched, filtered, in an order, page by page."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.datastructures import QueryParams

from llm_pipeline.api.paging import cursor_of, position_of
from llm_pipeline.dashboard.mapping import Mapping
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role, Source, Status
from llm_pipeline.store import catalogue, mappings
from llm_pipeline.store.engine import Session
from llm_pipeline.store.filters import Filter
from llm_pipeline.store.ordering import Sort

PER_PAGE = 50
TABS = {
    "pending": "Pending",
    "approved": "Approved",
    "auto_approved": "Auto",
    "rejected": "Rejected",
    "retired": "Retired",
    "all": "All",
}
SORTS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "rows": "Most rows first",
    "surest": "Surest first",
    "least_sure": "Least sure first",
    "text": "By text",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address and the form of the page ask for; unusable values mean no restriction."""

    status: str = "pending"
    q: str = ""
    target: str = ""
    category: str = ""
    source: str = ""
    submitter: str = ""
    upload: str = ""
    sort: str = "newest"
    cursor: str = ""

    @classmethod
    def of(cls, given: QueryParams | dict[str, str]) -> "Asked":
        known = {
            name: given[name][:500].replace("\x00", "") for name in cls.__slots__ if name in given
        }
        asked = cls(**known)
        return replace(
            asked,
            status=asked.status if asked.status in TABS else "pending",
            sort=asked.sort if asked.sort in SORTS else "newest",
            source=asked.source if asked.source in list(Source) else "",
            upload=asked.upload if asked.upload.isascii() and asked.upload.isdigit() else "",
        )

    def filter(self) -> Filter:
        return Filter(
            q=self.q.strip(),
            status=None if self.status == "all" else Status(self.status),
            target=self.target.strip() or None,
            category=self.category.strip() or None,
            source=self.source or None,
            submitter=self.submitter.strip() or None,
            upload=min(int(self.upload), 2**63 - 1) if self.upload else None,
        )

    def query(self, **other: str) -> str:
        """Return the address that asks the same, or something other in part."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "cursor"} | other
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def narrowed(self) -> bool:
        return any((self.q, self.target, self.category, self.source, self.submitter, self.upload))


class Center:
    """The list as one browser asks for it, and the mapping it looks at."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._asked = Asked.of(sheet.query)
        self._counts = sheet.first_beat.state.center.mappings
        self._one = Mapping(sheet, self._show)

    async def open(self) -> None:
        sheet = self._sheet
        self._top = sheet.panel(_top(sheet, self._asked, self._counts), self.heard)
        self._table = sheet.panel(await _table(sheet, self._asked), self.heard)
        await self._one.open()

    async def heard(self, act: Act) -> None:
        if act.do == "filter":
            self._asked = replace(Asked.of(act.form), status=self._asked.status)
            self._sheet.address(f"/center?{self._asked.query()}")
        elif act.do == "page":
            self._asked = replace(self._asked, cursor=act.arg[:4000])
        elif act.do == "show":
            await self._one.show(act.arg)
            return
        await self._show()

    async def beat(self, new: Beat) -> None:
        """Bring the counts up to date, and the first page; further pages stay as they are read."""
        counts = new.state.center.mappings
        if counts != self._counts:
            self._counts = counts
            self._top.show(_top(self._sheet, self._asked, counts))
            if not self._asked.cursor:
                await self._show()

    async def _show(self) -> None:
        self._table.show(await _table(self._sheet, self._asked))
        self._top.show(_top(self._sheet, self._asked, self._counts))


def _top(sheet: Sheet, asked: Asked, counts: dict[str, int]) -> Markup:
    return rendered(
        "center.html",
        asked=asked,
        tabs=TABS,
        sorts=SORTS,
        sources=list(Source),
        counts=counts | {"all": sum(counts.values())},
        may_review=sheet.may(Role.REVIEWER),
        may_submit=sheet.may(Role.SUBMITTER),
    )


async def _table(sheet: Sheet, asked: Asked) -> Markup:
    seconds = sheet.services.parts.settings.search_seconds
    after = position_of(asked.cursor) if asked.cursor else None

    def look(session: Session) -> Markup:
        found = mappings.page(session, asked.filter(), after, PER_PAGE, Sort(asked.sort), seconds)
        following = None if found.next_cursor is None else cursor_of(found.next_cursor)
        keys = {
            key
            for one in found.items
            for key in (one.target, one.proposed_target, one.suggested_target)
            if key
        }
        names = catalogue.names(session, sorted(keys))
        return rendered("mappings.html", found=found, following=following, asked=asked, names=names)

    return await sheet.read(look)
