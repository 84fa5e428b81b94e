"""The list of labels in doubt over HTTP: read, dismissed, corrected by the decision route."""

import httpx
import pytest

from llm_pipeline.domain.records import Action, Submission
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import label_errors, log
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now

PATH = "/api/ml/label-errors"


@pytest.fixture
def listed(engine: Engine) -> list[int]:
    """Ids of three approved mappings whose labels are in doubt, the surest first."""
    found = []
    with transaction(engine) as session:
        for number in (1, 2, 3):
            stored = submit(session, Submission(f"BLUE BOTTLE TEA {number}"), "ann", now())
            decide(session, stored.id, Verdict(Action.APPROVE, 1, "ann", "SBUX"), now())
            example = {"text": "BLUE BOTTLE 7", "target": "BLUE"}
            doubt = (stored.id, "SBUX", "BLUE", 9.0 - number, "the rest says BLUE", [example])
            found.append(label_errors.NewLabelError(*doubt))
        label_errors.replace(session, found, log.latest(session), now())
    return [doubt.mapping_id for doubt in found]


def _ids(client: httpx.Client) -> list[int]:
    return [item["mapping_id"] for item in client.get(PATH).json()["items"]]


def test_doubts_come_in_pages_the_surest_first(client: httpx.Client, listed: list[int]) -> None:
    page = client.get(PATH, params={"limit": 2}).json()
    assert [item["mapping_id"] for item in page["items"]] == listed[:2]
    assert (page["total"], page["total_is_exact"]) == (3, True)
    first = page["items"][0]
    assert (first["target"], first["suggested_target"]) == ("SBUX", "BLUE")
    assert (first["score"], first["reason"]) == (8.0, "the rest says BLUE")
    assert first["examples"] == [{"text": "BLUE BOTTLE 7", "target": "BLUE"}]
    rest = client.get(PATH, params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [item["mapping_id"] for item in rest["items"]] == listed[2:]
    assert rest["next_cursor"] is None


def test_a_dismissed_doubt_is_gone_and_cannot_be_dismissed_again(
    client: httpx.Client, listed: list[int]
) -> None:
    answer = client.post(f"{PATH}/{listed[0]}/dismiss")
    assert (answer.status_code, answer.json()["target"]) == (200, "SBUX")
    assert _ids(client) == listed[1:]
    again = client.post(f"{PATH}/{listed[0]}/dismiss")
    assert (again.status_code, again.json()["title"]) == (409, "Conflict")
    assert client.post(f"{PATH}/9999/dismiss").status_code == 404


def test_the_decision_route_corrects_with_what_the_list_gives(
    client: httpx.Client, listed: list[int]
) -> None:
    item = client.get(PATH).json()["items"][0]
    decision = {
        "action": "correct",
        "version": item["version"],
        "target": item["suggested_target"],
    }
    path = f"/api/llm-center/mappings/{item['mapping_id']}/decision"
    assert client.post(path, json=decision).json()["target"] == "BLUE"
    assert _ids(client) == listed[1:]
    assert client.post(f"{PATH}/{listed[0]}/dismiss").status_code == 409


def test_an_installation_that_never_looked_has_no_doubts(client: httpx.Client) -> None:
    assert client.get(PATH).json()["items"] == []
