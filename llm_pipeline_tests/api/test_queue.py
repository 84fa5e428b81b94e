"""The review queue over HTTP: groups, leases, decisions, conflicts, agreement."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llm_pipeline.config import Settings
from llm_pipeline_tests.api.live_server import Running

QUEUE = "/api/llm-center/queue"
MAPPINGS = "/api/llm-center/mappings"


def submit(client: httpx.Client, *rows: tuple[str, str | None]) -> None:
    for text, target in rows:
        body = {"text": text, "target": target}
        assert client.post(MAPPINGS, json=body).status_code == 201


def lease(client: httpx.Client, **wish: Any) -> list[dict[str, Any]]:
    answer = client.post(f"{QUEUE}/lease", json=wish)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def decide(client: httpx.Client, action: str, *groups: dict[str, Any], **more: Any) -> Any:
    body = {"action": action, "groups": [group["token"] for group in groups]} | more
    return client.post(f"{QUEUE}/decide", json=body)


@pytest.fixture
def ann(server: Running) -> Iterator[httpx.Client]:
    """A reviewer, with two groups near to each other and one of its own in the queue."""
    with server.client("reviewer") as client:
        submit(client, ("SQ BLUE BOTTLE 1", "BLUE"), ("SQ BLUE BOTTLE 2", "BLUE"))
        submit(client, ("BLUE BOTTLE 7", "BLUE"), ("AMZN MKTP 4", None))
        yield client


def test_the_queue_shows_groups_with_all_that_a_reviewer_needs(ann: httpx.Client) -> None:
    page = ann.get(QUEUE, params={"order": "oldest", "explain": True}).json()
    assert [one["key"] for one in page["items"]] == ["sq blue bottle", "blue bottle", "amzn mktp"]
    assert (page["total"], page["total_is_exact"], page["next_cursor"]) == (3, True, None)
    first = page["items"][0]
    assert (first["mappings"], first["rows"], first["offered"]) == (2, 2, "BLUE")
    assert first["suggestion"]["target"] == "BLUE"
    assert (first["lease"], first["differ"]) == (None, False)
    assert [near["key"] for near in first["near"]] == ["blue bottle"]
    assert first["evidence"][0]["target"] == "BLUE"


def test_evidence_names_the_nearest_approved_texts(ann: httpx.Client) -> None:
    (one,) = lease(ann, order="oldest")
    assert decide(ann, "approve", one).status_code == 200
    (near,) = [group for group in lease(ann, groups=2) if group["key"] == "blue bottle"]
    assert "SQ BLUE BOTTLE 2" in near["evidence"][0]["examples"]


@pytest.mark.parametrize("order", ["value", "uncertain", "oldest", "random"])
def test_pages_of_the_queue_follow_each_other(ann: httpx.Client, order: str) -> None:
    seen, cursor = [], None
    while True:
        query: dict[str, Any] = {"order": order, "limit": 1}
        query |= {"cursor": cursor} if cursor else {}
        page = ann.get(QUEUE, params=query).json()
        seen += [one["key"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == ["amzn mktp", "blue bottle", "sq blue bottle"]


@pytest.mark.parametrize(
    "query",
    [
        {"order": "best"},
        {"limit": 201},
        {"min_rows": -1},
        {"cursor": "x"},
        {"cursor": "YWZ0ZXI6MQ"},
        {"cursor": "YWZ0ZXI6WyJyYW5kb20iLDEsIngiXQ"},
    ],
)
def test_refuses_a_page_that_makes_no_sense(ann: httpx.Client, query: dict[str, Any]) -> None:
    assert ann.get(QUEUE, params=query).status_code == 422


def test_a_leased_group_is_settled_known_at_once_and_taken_back(ann: httpx.Client) -> None:
    (one,) = lease(ann, order="oldest", minutes=5)
    assert one["lease"]["holder"] == "reviewer"
    answer = decide(ann, "approve", one, *one["near"], reason="coffee")
    assert answer.json() == {
        "id": 1,
        "action": "approve",
        "mappings": 3,
        "rows": 3,
        "displaced": 0,
        "arrived": 0,
        "left": 0,
        "for_second": [],
        "disputed": [],
    }
    found = ann.post("/api/ml/recognize", json={"texts": ["SQ BLUE BOTTLE 1"]}).json()
    assert found["results"][0]["candidates"][0]["evidence"] == "exact"
    history = ann.get(f"{MAPPINGS}/1").json()["decisions"]
    assert [(one["action"], one["actor"], one["reason"]) for one in history] == [
        ("approve", "reviewer", "coffee")
    ]
    undone = decide(ann, "undo", decision=1).json()
    assert (undone["mappings"], undone["left"]) == (3, 0)
    assert ann.get(f"{MAPPINGS}/1").json()["status"] == "pending"
    today = ann.post(f"{QUEUE}/lease", json={"groups": 0}).json()["today"]
    assert (today["approve"], today["undo"]) == (3, 3)


def test_nobody_else_gets_or_decides_what_is_held(server: Running, ann: httpx.Client) -> None:
    held = lease(ann, groups=2)
    with server.client("admin") as bob:
        others = lease(bob, groups=5)
        keys = {group["key"] for group in held} | {n["key"] for g in held for n in g["near"]}
        assert keys.isdisjoint(group["key"] for group in others)
        refused = decide(bob, "reject", held[0])
        assert refused.status_code == 409
        assert "reviewer holds the group" in refused.json()["detail"]
        assert ann.post(f"{QUEUE}/release", json={}).json() == {"released": len(keys)}
        assert decide(bob, "reject", held[0]).status_code == 200
    late = decide(ann, "approve", held[0])
    assert late.status_code == 409
    assert "admin decided 'reject' at 20" in late.json()["detail"]


def test_texts_that_came_meanwhile_are_told(ann: httpx.Client) -> None:
    (one,) = lease(ann, order="oldest")
    submit(ann, ("SQ BLUE BOTTLE 3", "AMZN"))
    assert decide(ann, "approve", one).json()["arrived"] == 1
    assert ann.get(f"{MAPPINGS}/5").json()["status"] == "pending"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "approve"}, 422),
        ({"action": "approve", "groups": ["x"]}, 422),
        ({"action": "approve", "groups": ["WzEsMiwzXQ"]}, 422),
        ({"action": "approve", "groups": ["WzEsMiwzLDQsNSw2LDdd"]}, 422),
        ({"action": "approve", "groups": ["é"]}, 422),
        ({"action": "undo"}, 422),
        ({"action": "undo", "decision": 9}, 404),
        ({"action": "undo", "decision": 9, "groups": ["x"]}, 422),
        ({"action": "reject", "decision": 9}, 422),
        ({"action": "burn", "groups": []}, 422),
    ],
)
def test_refuses_a_decision_that_makes_no_sense(
    ann: httpx.Client, body: dict[str, Any], status: int
) -> None:
    answer = ann.post(f"{QUEUE}/decide", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_conflicts_are_listed_and_settled(ann: httpx.Client) -> None:
    submit(ann, ("SQ BLUE BOTTLE 1", "AMZN"), ("BLUE BOTTLE 7", "AMZN"))
    first = ann.get("/api/llm-center/conflicts", params={"limit": 1}).json()
    assert (first["total"], len(first["items"])) == (2, 1)
    said = {one["target"]: one["rows"] for one in first["items"][0]["proposals"]}
    assert said == {"BLUE": 1, "AMZN": 1}
    after = {"cursor": first["next_cursor"]}
    (last,) = ann.get("/api/llm-center/conflicts", params=after).json()["items"]
    groups = ann.get(QUEUE, params={"conflicts": True, "order": "oldest"}).json()["items"]
    assert [group["key"] for group in groups] == ["sq blue bottle", last["key"]]
    assert len(groups[0]["proposals"]) == 2
    assert decide(ann, "approve", groups[0], groups[1], target="BLUE").status_code == 200
    assert ann.get("/api/llm-center/conflicts").json()["items"] == []


@pytest.mark.parametrize("settings", [1.0], indirect=True)
def test_two_reviewers_answer_blindly_and_an_admin_settles(
    server: Running, ann: httpx.Client
) -> None:
    (one,) = lease(ann, order="oldest")
    assert decide(ann, "approve", one).json()["for_second"] == ["sq blue bottle"]
    with server.client("admin") as bob:
        (same,) = lease(bob, order="oldest")
        assert (same["key"], same["opinions"]) == ("sq blue bottle", [])
        assert decide(bob, "reject", same).json()["disputed"] == ["sq blue bottle"]
        asked = bob.get("/api/llm-center/agreement").json()
        assert (asked["groups"], asked["agreed"], asked["disputed"]) == (1, 0, 1)
        shown = bob.get(QUEUE, params={"order": "oldest"}).json()["items"][0]
        assert [opinion["action"] for opinion in shown["opinions"]] == ["approve", "reject"]
        assert decide(bob, "approve", shown).json()["mappings"] == 2
        asked = bob.get("/api/llm-center/agreement").json()
    assert (asked["share"], asked["waiting"], asked["disputed"]) == (0.0, 0, 0)
    assert asked["low"] == 0.0 < asked["high"] < 1.0


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Any) -> Settings:
    return Settings(home=tmp_path, second_review_share=getattr(request, "param", 0.0))


def test_agreement_is_unknown_before_anybody_was_asked(client: httpx.Client) -> None:
    asked = client.get("/api/llm-center/agreement").json()
    assert (asked["groups"], asked["share"], asked["kappa"]) == (0, None, None)
    assert (asked["low"], asked["high"]) == (0.0, 1.0)
