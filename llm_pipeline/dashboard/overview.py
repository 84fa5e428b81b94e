"""Overview: the four stages with live numbers, what the loop does, and what needs a person now."""

from dataclasses import dataclass

from markupsafe import Markup

from llm_pipeline.api.deps import Services
from llm_pipeline.dashboard.pulse import Beat, Pulse
from llm_pipeline.dashboard.rendering import plural, rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.dashboard.telling import told
from llm_pipeline.store import audits, conflicts, label_errors, log, models, plans
from llm_pipeline.store.engine import Session

_DECIDED = ("model:promoted", "model:refused")


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that waits for a person: how much, of what, and where it is done."""

    count: int
    what: str
    why: str
    path: str


@dataclass(frozen=True, slots=True)
class Loop:
    """What the loop did last by itself, and when it learned."""

    newest: models.StoredModel | None
    decided: log.LoggedEvent | None


async def build(sheet: Sheet, pulse: Pulse) -> None:
    """Put the overview up."""
    first = sheet.first_beat
    shown = sheet.panel(await pulse.once(first, html))

    async def beat(new: Beat) -> None:
        shown.show(await pulse.once(new, html))

    pulse.moved.subscribe(beat)


def html(services: Services, beat: Beat) -> Markup:
    """Return the overview at a beat: the same for everybody."""
    with services.parts.read() as session:
        todo = _todo(session, beat)
        loop = Loop(
            next(iter(models.history(session, 1)), None),
            next(iter(log.newest(session, 1, names=_DECIDED)), None),
        )
    mappings = beat.state.center.mappings
    gates = beat.state.data.gates
    return rendered(
        "overview.html",
        state=beat.state,
        total=sum(mappings.values()),
        passing=sum(gate.success for gate in gates),
        todo=todo,
        loop=loop,
        latest=told(beat.latest),
    )


def _todo(session: Session, beat: Beat) -> list[Todo]:
    state = beat.state
    pending = state.center.mappings["pending"]
    previewed = [one for one in plans.page(session, None, 20) if one.status.value == "previewed"]
    found = [
        Todo(1, alert.message, f"{alert.severity}, {alert.rule}", f"/data#alert-{alert.id}")
        for alert in state.alerts
        if alert.acknowledged_by is None
    ][:3]
    found += [
        Todo(
            audits.open_count(session),
            "Texts to audit",
            "they prove that automatic approval may go on",
            "/automation",
        ),
        Todo(pending, "Texts to review", "the most valuable first", "/review"),
        Todo(
            conflicts.count(session),
            "Texts whose submissions disagree",
            "different targets were proposed",
            "/review?conflicts=yes",
        ),
        Todo(
            label_errors.count(session),
            "Approved labels in doubt",
            "the rest of the data speaks against them",
            "/doubts",
        ),
        Todo(
            len(previewed),
            f"{plural(len(previewed), 'plan')} previewed, not applied",
            "forgotten after a day",
            "/plans",
        ),
    ]
    return [one for one in found if one.count]
