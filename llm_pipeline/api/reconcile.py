"""The Reconciliation Service API 0.2: OpenRefine and other clients match against the catalogue.

Candidates come from the recogniser in service. Left out: data extension, and JSON-P, which would
let any page that a reader opens ask in the reader's name.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given, Services, Text, Word
from llm_pipeline.domain.approval import Rule
from llm_pipeline.domain.automation import stratum_of
from llm_pipeline.domain.records import Recognition, State
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import breaker, catalogue, policies
from llm_pipeline.store.catalogue import CatalogueEntry
from llm_pipeline.store.engine import Session

router = APIRouter(tags=["Reconciliation"])

PATH = "/reconcile"
SUGGEST_PATH = PATH + "/suggest/entity"
# The type of every target; those with a category are of that type as well.
TARGET = "target"
USUAL_CANDIDATES = 5
MOST_CANDIDATES = 50
MOST_QUERIES = 1000
SUGGESTED = 20
_LONGEST_LIST = 1000


class TypeOut(BaseModel):
    """A type of entities."""

    id: str
    name: str


class Value(BaseModel):
    """What a column beside the text says: a pair of its name and value."""

    pid: Word
    v: Any


class Asked(BaseModel):
    """One query: a text, and which candidates are wanted."""

    model_config = ConfigDict(extra="forbid")

    query: Text
    type: Word | list[Word] | None = None
    limit: float = Field(default=USUAL_CANDIDATES, ge=1)
    properties: list[Value] = []
    type_strict: Word | None = None

    @property
    def types(self) -> set[str]:
        """The categories that are wanted; none: all."""
        named = [self.type] if isinstance(self.type, str) else self.type or []
        return set() if TARGET in named else set(named)


class CandidateOut(BaseModel):
    """A target; its score is the calibrated probability in percent, and `match` says that the
    policy in force would approve the answer without a person."""

    id: str
    name: str
    score: float
    match: bool
    type: list[TypeOut]


class Answer(BaseModel):
    """The candidates for one query, the likeliest first."""

    result: list[CandidateOut]


class Manifest(BaseModel):
    """What the service is and can do."""

    versions: list[str]
    name: str
    identifierSpace: str  # noqa: N815
    schemaSpace: str  # noqa: N815
    documentation: str
    authentication: dict[str, str]
    view: dict[str, str]
    defaultTypes: list[TypeOut]  # noqa: N815
    suggest: dict[str, dict[str, str]]


class Suggestion(BaseModel):
    """A target whose key or name contains what was typed."""

    id: str
    name: str
    description: str
    notable: list[TypeOut]


class Suggestions(BaseModel):
    """Targets to choose from."""

    result: list[Suggestion]


_BATCH: TypeAdapter[dict[str, Asked]] = TypeAdapter(dict[str, Asked])
_QUERIES = 'queries as a JSON object: `{"q0": {"query": "AMZN MKTP US*2K4"}}`'
_ALL = [TypeOut(id=TARGET, name="Entry of the catalogue")]


@router.get(PATH, summary="What can be matched against, or the candidates for queries")
def get_reconcile(
    request: Request,
    services: Given,
    _caller: Viewer,
    queries: Annotated[str | None, Query(description=_QUERIES)] = None,
) -> Manifest | dict[str, Answer]:
    if queries is None:
        return _manifest(str(request.base_url).rstrip("/"))
    return _answer(services, queries)


@router.post(
    PATH,
    summary="Candidates for queries, as a form or as JSON",
    openapi_extra={
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {"queries": {"type": "string", "description": _QUERIES}},
                    }
                },
                "application/json": {"schema": {"type": "object"}},
            }
        }
    },
)
async def post_reconcile(request: Request, services: Given, _caller: Viewer) -> dict[str, Answer]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    queries: object
    if kind == "application/json":
        queries = (await request.body()).decode(errors="replace")
    else:
        form = await request.form()
        queries = form.get("queries")
    if not isinstance(queries, str):
        raise InvalidInput(f"send {_QUERIES}, in the form field `queries` or as the JSON body")
    return await run_in_threadpool(_answer, services, queries)


@router.get(SUGGEST_PATH, summary="Targets whose key or name contains what is typed")
def suggest_entity(
    services: Given,
    _caller: Viewer,
    prefix: Word,
    cursor: Annotated[int, Query(ge=0, le=_LONGEST_LIST, description="how many to skip")] = 0,
) -> Suggestions:
    with services.parts.read() as session:
        found = catalogue.page(session, prefix.strip(), "", _LONGEST_LIST)
    typed = prefix.strip().casefold()
    active = sorted((one for one in found if not one.retired), key=lambda one: _rank(one, typed))
    return Suggestions(result=[_suggestion(one) for one in active[cursor : cursor + SUGGESTED]])


def _rank(entry: CatalogueEntry, typed: str) -> tuple[bool, str]:
    begins = any(word.casefold().startswith(typed) for word in (entry.key, entry.name))
    return not begins, entry.name.casefold()


def _suggestion(entry: CatalogueEntry) -> Suggestion:
    return Suggestion(
        id=entry.key, name=entry.name, description=entry.category, notable=_types(entry)
    )


def _types(entry: CatalogueEntry) -> list[TypeOut]:
    own = [TypeOut(id=entry.category, name=entry.category)] if entry.category else []
    return own + _ALL


def _manifest(base: str) -> Manifest:
    return Manifest(
        versions=["0.2"],
        name="llm_pipeline catalogue",
        identifierSpace=f"{base}/api/llm-center/targets",
        schemaSpace=f"{base}/api/llm-center/targets#category",
        documentation=f"{base}/docs",
        authentication={"type": "apiKey", "name": "Authorization", "in": "header"},
        view={"url": f"{base}/targets?q={{{{id}}}}"},
        defaultTypes=_ALL,
        suggest={"entity": {"service_url": base, "service_path": SUGGEST_PATH}},
    )


def _answer(services: Services, queries: str) -> dict[str, Answer]:
    batch = _parsed(queries)
    if not batch:
        return {}
    # Candidates of other types are taken out afterwards.
    wanted = max(_most(asked) if not asked.types else MOST_CANDIDATES for asked in batch.values())
    serving = services.live.serving
    answers = serving.recognize(
        [asked.query for asked in batch.values()],
        wanted,
        extra=[_columns(asked) for asked in batch.values()],
    )
    with services.parts.read() as session:
        rule = _rule(session)
        keys = {one.target for answer in answers for one in answer.candidates}
        entries = catalogue.entries(session, sorted(keys))
    return {
        name: Answer(result=_candidates(asked, answer, entries, rule))
        for (name, asked), answer in zip(batch.items(), answers, strict=True)
    }


def _parsed(queries: str) -> dict[str, Asked]:
    try:
        batch = _BATCH.validate_python(json.loads(queries))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "queries"
        raise InvalidInput(f"{place[:200]}: {first['msg']}; send {_QUERIES}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"`queries` is no JSON: {error}; send {_QUERIES}") from error
    if len(batch) > MOST_QUERIES:
        raise InvalidInput(f"{len(batch)} queries at once; send at most {MOST_QUERIES}")
    return batch


def _most(asked: Asked) -> int:
    return int(min(asked.limit, MOST_CANDIDATES))


def _columns(asked: Asked) -> dict[str, str | float | None] | None:
    found = {one.pid: _value(one.v) for one in asked.properties}
    return found or None


def _value(given: object) -> str | float | None:
    """A property's value as a column says it; of several the first, of an entity its name."""
    if isinstance(given, list):
        return _value(given[0]) if given else None
    if isinstance(given, dict):
        return _value(given.get("name", given.get("id")))
    return given if isinstance(given, str | int | float) else None


def _rule(session: Session) -> Rule | None:
    """What is approved without a person now; None while nothing is."""
    policy = policies.in_force(session)
    if policy is None or breaker.open_stops(session):
        return None
    return Rule.from_json(policy.rule)


def _candidates(
    asked: Asked, answer: Recognition, entries: dict[str, CatalogueEntry], rule: Rule | None
) -> list[CandidateOut]:
    found = []
    for one in answer.candidates:
        entry = entries.get(one.target)
        if entry is None or entry.retired or (asked.types and entry.category not in asked.types):
            continue
        meant = answer.state is State.MATCHED and one.target == answer.target
        stratum = stratum_of(one.evidence, proposed=False)
        match = meant and rule is not None and rule.accepts(stratum, answer.probability)
        score = round(100 * one.probability, 2)
        found.append(
            CandidateOut(
                id=entry.key, name=entry.name, score=score, match=match, type=_types(entry)
            )
        )
    return found[: _most(asked)]
