"""Mappings and targets over HTTP."""

import threading
from typing import Any

import httpx
import pytest

from llm_pipeline.store.engine import Engine, reading
from llm_pipeline_tests.api.live_server import Running
from llm_pipeline_tests.factories import rows_stored

MAPPINGS = "/api/llm-center/mappings"
TARGETS = "/api/llm-center/targets"


def submit(client: httpx.Client, text: str, **more: Any) -> httpx.Response:
    return client.post(MAPPINGS, json={"text": text, **more})


def decide(client: httpx.Client, mapping_id: int, **said: Any) -> httpx.Response:
    if "version" not in said:
        said["version"] = client.get(f"{MAPPINGS}/{mapping_id}").json().get("version", 1)
    return client.post(f"{MAPPINGS}/{mapping_id}/decision", json=said)


def test_a_submitted_text_becomes_a_mapping_that_waits(client: httpx.Client) -> None:
    answer = submit(client, "SQ *BLUE BOTTLE 0423", target="BLUE", note="from a card")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["status"], body["proposed_target"], body["source"]) == ("pending", "BLUE", "api")
    assert (body["submitter"], body["note"], body["rows"]) == ("admin", "from a card", 1)
    assert body["suggestion"]["target"] == "BLUE"
    best = body["recognition"]["candidates"][0]
    assert (best["evidence"], best["example"]) == ("name", "Blue Bottle Coffee")


def test_a_text_like_no_name_and_no_text_has_no_suggestion(client: httpx.Client) -> None:
    body = submit(client, "ЯНДЕКС ТАКСИ").json()
    assert (body["suggestion"], body["recognition"]["state"]) == (None, "no_match")


def test_a_dashboard_session_submits_as_a_user(server: Running, session_cookie: str) -> None:
    with server.client(None) as browser:
        browser.cookies.set("llm_pipeline_session", session_cookie)
        body = submit(browser, "blue bottle").json()
    assert (body["source"], body["submitter"]) == ("user", "reviewer")


def test_an_approved_text_is_known_at_once(client: httpx.Client) -> None:
    mapping = submit(client, "SQ *BLUE BOTTLE 0423").json()
    decided = decide(client, mapping["id"], action="approve", target="BLUE")
    assert (decided.status_code, decided.json()["status"]) == (200, "approved")
    found = client.post("/api/ml/recognize", json={"texts": ["sq blue bottle 77"]}).json()
    assert found["results"][0]["target"] == "BLUE"
    again = submit(client, "SQ *Blue Bottle 0423").json()
    assert (again["id"], again["status"], again["rows"]) == (mapping["id"], "approved", 2)
    assert again["recognition"]["candidates"][0]["evidence"] == "exact"
    like = submit(client, "SQ *BLUE BOTTLE 9").json()
    assert like["suggestion"]["target"] == "BLUE"


def test_a_mapping_shows_its_whole_history(client: httpx.Client) -> None:
    mapping_id = submit(client, "BLUE BOTTLE").json()["id"]
    decide(client, mapping_id, action="approve", target="SBUX", reason="looks like it")
    decide(client, mapping_id, action="correct", target="BLUE")
    body = client.get(f"{MAPPINGS}/{mapping_id}").json()
    assert [one["action"] for one in body["decisions"]] == ["approve", "correct"]
    assert body["decisions"][0]["reason"] == "looks like it"
    assert [(one["target"], one["ended_by"]) for one in body["live"]] == [
        ("SBUX", "corrected"),
        ("BLUE", None),
    ]


def test_of_two_decisions_at_once_one_is_told_of_the_other(
    server: Running, client: httpx.Client
) -> None:
    mapping = submit(client, "BLUE BOTTLE").json()
    together = threading.Barrier(2)
    answers: list[httpx.Response] = []

    def press(target: str) -> None:
        with server.client("reviewer") as reviewer:
            together.wait()
            said = {"action": "approve", "target": target, "version": mapping["version"]}
            answers.append(decide(reviewer, mapping["id"], **said))

    people = [threading.Thread(target=press, args=(target,)) for target in ("BLUE", "SBUX")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "is approved: reviewer decided 'approve as " in refused.json()["detail"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"action": "approve", "target": "NOBODY"}, 422),
        ({"action": "undo"}, 422),
        ({"action": "forget"}, 422),
        ({"action": "reject", "version": 7}, 409),
        ({"action": "reject", "target": "a\x00b"}, 422),
    ],
)
def test_refuses_a_decision_that_cannot_be(
    client: httpx.Client, said: dict[str, Any], status: int
) -> None:
    mapping_id = submit(client, "BLUE BOTTLE").json()["id"]
    assert decide(client, mapping_id, **said).status_code == status


def test_refuses_to_approve_what_nobody_proposed(client: httpx.Client) -> None:
    mapping_id = submit(client, "ЯНДЕКС ТАКСИ").json()["id"]
    assert decide(client, mapping_id, action="approve").status_code == 422


def test_an_unknown_mapping_is_not_found(client: httpx.Client) -> None:
    assert client.get(f"{MAPPINGS}/999").status_code == 404
    assert decide(client, 999, action="reject").status_code == 404
    assert client.get(f"{MAPPINGS}/{2**63}").status_code == 422


def test_pages_of_mappings_follow_each_other_without_gaps(client: httpx.Client) -> None:
    texts = [f"SHOP {letter}" for letter in "ABCDE"]
    for text in texts:
        submit(client, text)
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get(MAPPINGS, params=query).json()
        assert (page["total"], page["total_is_exact"]) == (5, True)
        seen += [one["text"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == texts[::-1]


def test_mappings_are_found_by_words_status_and_target(client: httpx.Client) -> None:
    first = submit(client, "BLUE BOTTLE SF").json()["id"]
    submit(client, "AMZN MKTP", target="AMZN")
    decide(client, first, action="approve", target="BLUE")

    def found(**wanted: str) -> list[str]:
        return [one["text"] for one in client.get(MAPPINGS, params=wanted).json()["items"]]

    assert found(q="bottle blue") == ["BLUE BOTTLE SF"]
    assert found(status="pending") == ["AMZN MKTP"]
    assert found(target="BLUE") == ["BLUE BOTTLE SF"]
    assert found(source="upload") == found(submitter="nobody") == []


def test_mappings_are_narrowed_by_several_statuses_category_and_time(client: httpx.Client) -> None:
    first = submit(client, "BLUE BOTTLE SF", target="BLUE").json()
    second = submit(client, "AMZN MKTP").json()["id"]
    decide(client, second, action="reject")

    def found(**wanted: Any) -> list[str]:
        answer = client.get(MAPPINGS, params=wanted)
        assert answer.status_code == 200, answer.text
        return [one["text"] for one in answer.json()["items"]]

    both = ["AMZN MKTP", "BLUE BOTTLE SF"]
    assert found(status=["pending", "rejected"]) == found(status=["rejected", "pending"]) == both
    assert found(status=["approved"]) == found(category="nothing") == []
    assert found(since=first["created_at"]) == found(until="2999-01-01") == both
    assert found(since="2999-01-01T00:00:00Z") == found(until=first["created_at"]) == []


def test_a_typo_is_forgiven_and_told(client: httpx.Client) -> None:
    submit(client, "BLUE BOTTLE SF")
    page = client.get(MAPPINGS, params={"q": "blue botle"}).json()
    assert [one["text"] for one in page["items"]] == ["BLUE BOTTLE SF"]
    assert (page["read_as"], page["timed_out"]) == ({"botle": ["bottle"]}, False)
    assert client.get(MAPPINGS, params={"q": "blue bottle"}).json()["read_as"] == {}


@pytest.mark.parametrize("sort", ["newest", "oldest", "rows", "surest", "least_sure", "text"])
def test_every_order_has_pages_of_its_own(client: httpx.Client, sort: str) -> None:
    for text in ("SHOP A", "SHOP B", "SHOP A"):
        submit(client, text)
    first = client.get(MAPPINGS, params={"sort": sort, "limit": 1}).json()
    rest = client.get(MAPPINGS, params={"sort": sort, "cursor": first["next_cursor"]}).json()
    texts = [one["text"] for one in first["items"] + rest["items"]]
    assert sorted(texts) == ["SHOP A", "SHOP B"]
    assert texts[0] == ("SHOP B" if sort in ("newest", "surest") else "SHOP A")
    other = "oldest" if sort == "newest" else "newest"
    crossed = client.get(MAPPINGS, params={"sort": other, "cursor": first["next_cursor"]})
    assert crossed.status_code == 422
    assert "another order" in crossed.json()["detail"]


@pytest.mark.parametrize(
    "cursor", ["x", "!!!", "YWZ0ZXI6eA", "é", "YWZ0ZXI6OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ"]
)
def test_refuses_a_cursor_it_never_gave(client: httpx.Client, cursor: str) -> None:
    assert client.get(MAPPINGS, params={"cursor": cursor}).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"q": "a\x00"},
        {"status": "x"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"until": "9999-12-31T23:00:00-14:00"},
    ],
)
def test_refuses_a_search_that_makes_no_sense(client: httpx.Client, query: dict[str, Any]) -> None:
    answer = client.get(MAPPINGS, params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("query.")


def test_the_same_key_and_body_make_one_submission(client: httpx.Client, engine: Engine) -> None:
    again = {"Idempotency-Key": "k1"}
    first = client.post(MAPPINGS, json={"text": "BLUE BOTTLE"}, headers=again)
    second = client.post(MAPPINGS, json={"text": "BLUE BOTTLE"}, headers=again)
    assert first.json() == second.json()
    assert (second.status_code, second.headers["idempotency-replayed"]) == (201, "true")
    other = client.post(MAPPINGS, json={"text": "RED BOTTLE"}, headers=again)
    assert other.status_code == 422
    with reading(engine) as session:
        assert rows_stored(session) == 1


def test_one_key_at_once_makes_one_submission(server: Running, engine: Engine) -> None:
    together = threading.Barrier(4)
    statuses: list[int] = []

    def press() -> None:
        with server.client("submitter") as client:
            together.wait()
            key = {"Idempotency-Key": "k2"}
            answer = client.post(MAPPINGS, json={"text": "BLUE BOTTLE"}, headers=key)
            statuses.append(answer.status_code)

    presses = [threading.Thread(target=press) for _ in range(4)]
    for one in presses:
        one.start()
    for one in presses:
        one.join()
    assert statuses == [201] * 4
    with reading(engine) as session:
        assert rows_stored(session) == 1


def test_a_text_is_trimmed_as_cells_are(client: httpx.Client) -> None:
    assert submit(client, "\ttab start ").json()["text"] == "tab start"


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "مقهى ستاربكس 12", "🍕", "=cmd|' /C calc'!A0", "a' OR 1=1 --"],
)
def test_keeps_a_hostile_text_as_it_came(client: httpx.Client, text: str) -> None:
    mapping_id = submit(client, text).json()["id"]
    assert client.get(f"{MAPPINGS}/{mapping_id}").json()["text"] == text


@pytest.mark.parametrize("text", ["", "...", "a\x00b", "x" * 2001, "\ud800"])
def test_refuses_a_text_that_cannot_be_recognised(client: httpx.Client, text: str) -> None:
    content = '{"text": "\\ud800"}' if text == "\ud800" else None
    answer = (
        client.post(MAPPINGS, content=content, headers={"Content-Type": "application/json"})
        if content
        else submit(client, text)
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_targets_are_created_changed_and_found(client: httpx.Client) -> None:
    one = client.post(TARGETS, json={"key": "MSFT", "name": "Microsoft"}).json()
    assert one == {"created": 1, "changed": 0, "total": 4}
    many = [{"key": "MSFT", "name": "Microsoft Corp"}, {"key": "T", "name": "AT&T"}]
    assert client.post(TARGETS, json=many).json() == {"created": 1, "changed": 1, "total": 5}
    page = client.get(TARGETS, params={"q": "micro"}).json()
    assert [entry["name"] for entry in page["items"]] == ["Microsoft Corp"]
    assert (page["total"], page["next_cursor"]) == (1, None)


def test_pages_of_targets_follow_each_other_by_key(client: httpx.Client) -> None:
    first = client.get(TARGETS, params={"limit": 2}).json()
    rest = client.get(TARGETS, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["key"] for one in first["items"] + rest["items"]] == ["AMZN", "BLUE", "SBUX"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "body", [[], {"key": " ", "name": "x"}, {"key": "A"}, {"key": "A", "x": 1}]
)
def test_refuses_targets_that_are_incomplete(client: httpx.Client, body: object) -> None:
    assert client.post(TARGETS, json=body).status_code == 422


def test_a_decision_lists_what_is_like_it_with_a_plan_that_does_the_same(
    client: httpx.Client,
) -> None:
    texts = ("BLUE BOTTLE 1 SF", "BLUE BOTTLE 22 SF", "BLUE BOTTLE 22 SF", "BLUE BOTTLES SF", "GM")
    sent = [client.post(MAPPINGS, json={"text": text}).json() for text in texts]
    body = {"action": "correct", "target": "BLUE", "version": sent[0]["version"]}
    done = client.post(f"{MAPPINGS}/{sent[0]['id']}/decision", json=body).json()
    like_it = done["like_it"]
    preview = client.post("/api/llm-center/plans", json=like_it["plan"])
    assert (like_it["mappings"], like_it["rows"]) == (2, 3)
    assert [(one["text"], one["same_key"]) for one in like_it["first"]] == [
        ("BLUE BOTTLE 22 SF", True),
        ("BLUE BOTTLES SF", False),
    ]
    assert (preview.status_code, preview.json()["count"]) == (201, 2)
    assert preview.json()["target"] == "BLUE"
    lonely = {"action": "reject", "version": sent[4]["version"]}
    alone = client.post(f"{MAPPINGS}/{sent[4]['id']}/decision", json=lonely).json()
    assert (alone["status"], alone["like_it"]) == ("rejected", None)
