"""Try recognition on any texts, with what each answer rests on, and teach what is wrong."""

from markupsafe import Markup
from pydantic import ValidationError

from llm_pipeline.api import ml as routes
from llm_pipeline.api.ml import Lesson
from llm_pipeline.api.schemas import Recognitions, Texts
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.pulse import Pulse
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import catalogue

MOST_TEXTS = 20
_TOP = 4


class Trial:
    """What somebody tries."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._texts: list[str] = []

    async def open(self) -> None:
        self._sheet.panel(rendered("try.html", most=MOST_TEXTS), self.heard)
        self._answers = self._sheet.panel(Markup(""), self.heard)

    async def heard(self, act: Act) -> None:
        if act.do == "try":
            lines = act.form.get("texts", "").replace("\x00", "").splitlines()
            self._texts = [line for line in lines if line.strip()][:MOST_TEXTS]
        elif act.do == "teach":
            await self._teach(act)
        self._answers.show(await self._html())

    async def _teach(self, act: Act) -> None:
        try:
            body = Lesson(text=act.arg, target=act.form.get("target", "").strip())
        except ValidationError as error:
            raise InvalidInput("; ".join(one["msg"] for one in error.errors())) from error
        await self._sheet.do(
            Role.REVIEWER,
            "teaching",
            lambda caller: routes.learn(self._sheet.services, caller, body),
        )
        self._sheet.tell(f"{body.text} means {body.target}: it is known at once")

    async def _html(self) -> Markup:
        if not self._texts:
            return Markup("")
        try:
            body = Texts(texts=self._texts, top_k=_TOP, explain=True)
        except ValidationError as error:
            raise InvalidInput("a text has at most 2,000 characters") from error

        def answer(caller: object) -> Recognitions:
            return routes.recognize(self._sheet.services, self._sheet.caller, body)

        found = await self._sheet.do(Role.VIEWER, "recognition", answer)
        keys = sorted({one.target for result in found.results for one in result.candidates})
        names = await self._sheet.read(catalogue.names, keys)
        may = self._sheet.may(Role.REVIEWER)
        return rendered("answers.html", found=found, names=names, may=may)


async def build(sheet: Sheet, _pulse: Pulse) -> None:
    """Put the form up."""
    await Trial(sheet).open()
