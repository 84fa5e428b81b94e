"""A target chosen from the catalogue by what a person types: the first is taken by Enter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from llm_pipeline.api.schemas import CandidateOut
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.store import catalogue

_CHOICES = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """The text whose target is asked for, what was typed, and whether it may mean nothing."""

    text: str
    q: str
    may_be_nothing: bool = False


def words(act: Act) -> str:
    """Return what was typed."""
    return act.form.get("q", "")[:200].replace("\x00", "").strip()


async def first(sheet: Sheet, q: str) -> str | None:
    """Return the key of the first target that is shown for what was typed, None without one."""
    return next((one.key for one in await _found(sheet, q) if not one.retired), None)


async def _found(sheet: Sheet, q: str) -> list[catalogue.CatalogueEntry]:
    return await sheet.read(catalogue.page, q, "", _CHOICES) if q else []


async def dialog(
    sheet: Sheet,
    asked: Asked,
    *,
    evidence: Sequence[CandidateOut] = (),
    named: Mapping[str, str] | None = None,
) -> Markup:
    """Return the dialog: its acts are `look`, `pick` (Enter), `choose`, `nothing` and `close`."""
    found = await _found(sheet, asked.q)
    return rendered("choose.html", asked=asked, found=found, evidence=evidence, named=named or {})
