"""ML Dashboard: which model answers, how well, how sure, and how it came to that."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from llm_pipeline.api import models as routes
from llm_pipeline.api.deps import Services
from llm_pipeline.api.ml import ModelStatus, get_model_status
from llm_pipeline.dashboard.panel import MODELS, Act
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role
from llm_pipeline.store import activity, catalogue, models, quality
from llm_pipeline.store.engine import Session

_OURS = {
    "model:trained",
    "model:promoted",
    "model:imported",
    "model:refused",
    "report:written",
    "mapping:approved",
    "review:group_decided",
    "review:decided",
    "mappings:decided",
}
SCORES = {
    "accuracy": "Right on the stream",
    "unseen_accuracy": "Right on unseen texts",
    "unseen_macro_f1": "Macro-F1, unseen",
    "unseen_ece": "Calibration error, unseen",
    "unseen_brier": "Brier score, unseen",
    "unseen_coverage_at_95": "Answered at 95 % right, unseen",
}
PARTS = {"all rows": "accent", "unseen texts": "wait", "truly new": "rest"}
ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the reader is about to do, which versions they compare, and whether they may change
    what answers."""

    asked: str
    compared: tuple[str, ...]
    may: bool


class Learning:
    """The models as one browser looks at them."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._asked = ""  # the version that somebody is about to promote, or `ROLLBACK`
        self._compared: list[str] = []

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html(), self.heard)
        if self._sheet.may(Role.ADMIN):
            self._sheet.panel(rendered("import.html"))
            self._sheet.drop(routes.IMPORT_PATH, self.refresh, MODELS)

    async def refresh(self) -> None:
        self._shown.show(await self._html())

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            await self.refresh()

    async def heard(self, act: Act) -> None:
        reason = act.form.get("reason", "").strip()[:500]
        if act.do in ("ask", "close"):
            self._asked = act.arg if act.do == "ask" else ""
        elif act.do == "promote":
            await self._promote(routes.Promotion(reason=reason or "by hand"))
        elif act.do == "rollback":
            back = routes.Rollback(reason=reason or "by hand", requeue="requeue" in act.form)
            await self._roll_back(back)
        elif act.do == "compare":
            self._compared = [version for version in act.form.values() if version][:2]
        await self.refresh()

    async def _promote(self, body: routes.Promotion) -> None:
        version, self._asked = self._asked, ""
        done = await self._sheet.do(
            Role.ADMIN,
            "promoting models",
            lambda caller: routes.post_promote(self._sheet.services, caller, version, body),
        )
        self._sheet.tell(f"model {done.version} answers from now on")

    async def _roll_back(self, body: routes.Rollback) -> None:
        self._asked = ""
        done = await self._sheet.do(
            Role.ADMIN,
            "rolling back",
            lambda caller: routes.post_rollback(self._sheet.services, caller, body),
        )
        back = f"; {done.requeued} approvals of model {done.replaced} wait again"
        told = f"model {done.champion.version} answers again"
        self._sheet.tell(told + (back if done.plan_id is not None else ""))

    async def _html(self) -> Markup:
        services, caller, asked = self._sheet.services, self._sheet.caller, self._asked
        may = self._sheet.may(Role.ADMIN)

        def look(session: Session) -> Markup:
            chosen = Chosen(asked, tuple(self._compared), may)
            return _rendered(session, services, get_model_status(services, caller), chosen)

        return await self._sheet.read(look)


def _rendered(session: Session, services: Services, status: ModelStatus, chosen: Chosen) -> Markup:
    history = models.history(session, 50)
    known = {one.version: one for one in history}
    champion = models.champion(session)
    evaluation = quality.latest_report(session, "evaluation")
    content: dict[str, Any] = {} if evaluation is None else evaluation.content
    confusions, wrong = content.get("confusions", [])[:12], content.get("surest_wrong", [])[:10]
    keys = {one[which] for one in (*confusions, *wrong) for which in ("target", "predicted")}
    return rendered(
        "learning.html",
        status=status,
        history=history,
        oldest_first=list(reversed(history)),
        mlflow=services.parts.settings.mlflow_url,
        scores=SCORES,
        evaluation=evaluation,
        curves=content.get("curves", {}),
        parts=PARTS,
        weak=[one for one in content.get("slices", ()) if one["weak"]][:12],
        confusions=confusions,
        surest_wrong=wrong,
        names=catalogue.names(session, sorted(keys)),
        targets=[one for one in content.get("targets", ()) if one["recall"] < 1][:12],
        agreement=activity.agreement(session),
        asked=chosen.asked,
        rollback=ROLLBACK,
        compared=[known[version] for version in chosen.compared if version in known],
        before=None if champion is None else models.before(session, champion),
        may=chosen.may,
    )
