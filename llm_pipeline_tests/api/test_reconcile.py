"""The Reconciliation Service API 0.2, asked the way its clients do and held to its schemas."""

import json
from typing import Any

import httpx
import jsonschema
import pytest

from llm_pipeline.domain.approval import Accepted, Rule
from llm_pipeline.domain.automation import Cause
from llm_pipeline.store import breaker, policies
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now

PATH = "/reconcile"

# What the specification's schemas demand, in our words.
TYPES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        "required": ["id"],
    },
}
MANIFEST = {
    "type": "object",
    "required": ["versions", "name", "identifierSpace", "schemaSpace"],
    "properties": {
        "versions": {"type": "array", "contains": {"const": "0.2"}},
        "name": {"type": "string"},
        "identifierSpace": {"type": "string", "format": "uri"},
        "schemaSpace": {"type": "string", "format": "uri"},
        "defaultTypes": TYPES,
        "view": {
            "type": "object",
            "required": ["url"],
            "properties": {"url": {"type": "string", "pattern": r"\{\{id\}\}"}},
        },
        "authentication": {
            "type": "object",
            "required": ["type", "name", "in"],
            "properties": {"type": {"const": "apiKey"}, "in": {"enum": ["header", "query"]}},
        },
        "suggest": {
            "type": "object",
            "properties": {
                "entity": {
                    "type": "object",
                    "properties": {
                        "service_url": {"type": "string"},
                        "service_path": {"type": "string"},
                    },
                }
            },
        },
    },
}
RESULTS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["result"],
        "properties": {
            "result": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "name", "score"],
                    "properties": {
                        "id": {"type": "string"},
                        "name": {"type": "string"},
                        "score": {"type": "number", "minimum": 0, "maximum": 100},
                        "match": {"type": "boolean"},
                        "type": TYPES,
                    },
                },
            }
        },
    },
}
SUGGESTIONS = {
    "type": "object",
    "required": ["result"],
    "properties": {
        "result": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "name"],
                "properties": {
                    "id": {"type": "string"},
                    "name": {"type": "string"},
                    "notable": TYPES,
                },
            },
        }
    },
}


class Reconciler:
    """A client that knows the specification only: it begins at the manifest."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.manifest = self._checked(client.get(PATH), MANIFEST)

    def match(self, **queries: Any) -> dict[str, list[dict[str, Any]]]:
        """Ask in all three ways; they answer the same."""
        told = json.dumps(queries)
        answers = [
            self._checked(answer, RESULTS)
            for answer in (
                self.client.post(PATH, data={"queries": told}),
                self.client.post(PATH, json=queries),
                self.client.get(PATH, params={"queries": told}),
            )
        ]
        assert answers[0] == answers[1] == answers[2]
        return {name: one["result"] for name, one in answers[0].items()}

    def suggest(self, prefix: str, cursor: int = 0) -> list[str]:
        place = self.manifest["suggest"]["entity"]
        answer = self.client.get(
            place["service_url"] + place["service_path"],
            params={"prefix": prefix, "cursor": cursor},
        )
        return [one["id"] for one in self._checked(answer, SUGGESTIONS)["result"]]

    @staticmethod
    def _checked(answer: httpx.Response, schema: dict[str, Any]) -> Any:
        assert answer.status_code == 200, answer.text
        jsonschema.validate(answer.json(), schema)
        return answer.json()


@pytest.fixture
def reconciler(client: httpx.Client) -> Reconciler:
    client.post("/api/ml/learn", json={"text": "BLUE BOTTLE 7 OAKLAND", "target": "BLUE"})
    return Reconciler(client)


def put_in_force(engine: Engine, rule: Rule) -> None:
    with transaction(engine) as session:
        policies.add(
            session,
            max_error=rule.max_error,
            confidence=rule.confidence,
            rule=rule.as_json(),
            evidence={},
            actor="test",
            offset=1,
            created_at=now(),
        )


def test_the_manifest_says_where_entities_are_shown(reconciler: Reconciler) -> None:
    base = str(reconciler.client.base_url).rstrip("/")
    assert reconciler.manifest["view"]["url"].startswith(base)
    assert reconciler.manifest["authentication"]["in"] == "header"


def test_candidates_are_those_of_the_recogniser_with_its_probability(
    reconciler: Reconciler,
) -> None:
    text = "BLUE BOTTLE 7 OAKLAND"
    answer = reconciler.client.post("/api/ml/recognize", json={"texts": [text]}).json()
    likeliest = answer["results"][0]["candidates"][0]
    [first, *_] = reconciler.match(q0={"query": text})["q0"]
    assert (first["id"], first["name"]) == ("BLUE", "Blue Bottle Coffee")
    assert first["score"] == round(100 * likeliest["probability"], 2)
    assert first["type"] == [
        {"id": "Coffee", "name": "Coffee"},
        {"id": "target", "name": "Entry of the catalogue"},
    ]


def test_each_query_is_answered_under_its_name_and_within_its_limit(
    reconciler: Reconciler,
) -> None:
    found = reconciler.match(
        a={"query": "STARBUCKS COFFEE"},
        b={"query": "STARBUCKS COFFEE", "limit": 1, "type_strict": "any"},
        c={"query": "zzz qqq"},
    )
    assert list(found) == ["a", "b", "c"]
    assert len(found["b"]) == 1
    assert found["a"][0] == found["b"][0]


def test_a_type_is_a_category(reconciler: Reconciler) -> None:
    found = reconciler.match(
        coffee={"query": "STARBUCKS", "type": "Coffee"},
        retail={"query": "STARBUCKS", "type": ["Retail"]},
        every={"query": "STARBUCKS", "type": "target"},
        none={"query": "STARBUCKS", "type": "Ships"},
    )
    assert found["coffee"][0]["id"] == found["every"][0]["id"] == "SBUX"
    assert {one["id"] for one in found["retail"]} <= {"AMZN"}
    assert found["none"] == []


def test_only_what_the_policy_would_approve_is_a_match(
    reconciler: Reconciler, engine: Engine
) -> None:
    text = {"query": "BLUE BOTTLE 7 OAKLAND"}
    [before, *_] = reconciler.match(q=text)["q"]
    assert before["match"] is False  # no policy, no threshold
    accepted = (Accepted("exact", 0.5, 200, 0, 0.01, 1.0),)
    put_in_force(engine, Rule(0.02, 0.95, limit=0.6, audits=200, accepted=accepted))
    [match, *others] = reconciler.match(q=text)["q"]
    assert match["match"] is True
    assert not any(one["match"] for one in others)
    # Evidence of another kind is not proven.
    assert not any(one["match"] for one in reconciler.match(q={"query": "STARBUCKS"})["q"])
    put_in_force(engine, Rule(0.02, 0.95, limit=-0.02, audits=200, accepted=accepted))
    assert not any(one["match"] for one in reconciler.match(q=text)["q"])


def test_while_automatic_approval_is_stopped_nothing_is_a_match(
    reconciler: Reconciler, engine: Engine
) -> None:
    accepted = (Accepted("exact", 0.5, 200, 0, 0.01, 1.0),)
    put_in_force(engine, Rule(0.02, 0.95, limit=0.6, audits=200, accepted=accepted))
    with transaction(engine) as session:
        breaker.stop(session, Cause.AUDITS, "", "broken", "test", now())
    assert not any(
        one["match"] for one in reconciler.match(q={"query": "BLUE BOTTLE 7 OAKLAND"})["q"]
    )


def test_what_columns_say_may_come_along(reconciler: Reconciler) -> None:
    properties = [
        {"pid": "amount", "v": 12.5},
        {"pid": "gl_desc", "v": ["MEALS", "TRAVEL"]},
        {"pid": "vendor", "v": {"id": "1", "name": "Blue Bottle"}},
        {"pid": "empty", "v": []},
    ]
    found = reconciler.match(q={"query": "BLUE BOTTLE 7 OAKLAND", "properties": properties})
    assert found["q"][0]["id"] == "BLUE"


def test_targets_are_suggested_while_they_are_typed(reconciler: Reconciler) -> None:
    assert reconciler.suggest("blue") == ["BLUE"]
    assert reconciler.suggest("b") == ["BLUE", "SBUX"]  # first what begins with it
    assert reconciler.suggest("b", 1) == ["SBUX"]
    assert reconciler.suggest("zzz") == []


@pytest.mark.parametrize(
    ("queries", "told"),
    [
        ("", "is no JSON"),
        ("[]", "valid dictionary"),
        ('{"q0": {}}', "q0.query: Field required"),
        ('{"q0": {"query": "a", "typ": "b"}}', "q0.typ: Extra inputs"),
        ('{"q0": {"query": "a", "limit": 0}}', "q0.limit"),
        ("[" * 100_000, "is no JSON"),
        (json.dumps({str(n): {"query": "a"} for n in range(1001)}), "1001 queries at once"),
    ],
)
def test_a_bad_batch_is_told_what_is_wrong(client: httpx.Client, queries: str, told: str) -> None:
    answer = client.post(PATH, data={"queries": queries})
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


def test_a_body_without_queries_and_json_p_are_refused(client: httpx.Client) -> None:
    assert "send queries" in client.post(PATH, data={"other": "1"}).json()["detail"]
    padded = client.get(PATH, params={"callback": "take"})
    assert (padded.status_code, "callback" in padded.json()["detail"]) == (422, True)
    assert client.get(PATH, params={"queries": "{}"}).json() == {}
