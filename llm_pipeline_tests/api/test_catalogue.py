"""Targets that leave, over HTTP."""

from typing import Any

import httpx

TARGETS = "/api/llm-center/targets"


def impact(client: httpx.Client, key: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{TARGETS}/impact", params={"key": key}).json()
    return found


def add(client: httpx.Client, key: str, text: str) -> None:
    client.post(TARGETS, json={"key": key, "name": f"The {key}"})
    made = client.post("/api/llm-center/mappings", json={"text": text, "target": key}).json()
    said = {"action": "approve", "version": made["version"]}
    client.post(f"/api/llm-center/mappings/{made['id']}/decision", json=said)


def recognized(client: httpx.Client, text: str) -> str | None:
    body = {"texts": [text]}
    target: str | None = client.post("/api/ml/recognize", json=body).json()["results"][0]["target"]
    return target


def test_a_merge_is_shown_done_and_recognised(client: httpx.Client) -> None:
    add(client, "OLD/1", "quartz lantern")
    shown = impact(client, "OLD/1")
    assert (shown["live"], shown["waiting"], shown["examples"]) == (1, 0, ["quartz lantern"])
    order = {"key": "OLD/1", "into": "BLUE", "token": shown["token"], "reason": "bought"}
    done = client.post(f"{TARGETS}/retire", json=order).json()
    assert (done["moved"], done["target"]["merged_into"]) == (1, "BLUE")
    assert recognized(client, "Quartz Lantern") == "BLUE"
    refused = client.post(f"{TARGETS}/retire", json=order | {"into": None})
    assert (refused.status_code, "look again" in refused.json()["detail"]) == (409, True)


def test_a_target_is_renamed_and_restored(client: httpx.Client) -> None:
    add(client, "FB", "facebook ads")
    order = {"key": "FB", "to": "META", "token": impact(client, "FB")["token"]}
    assert client.post(f"{TARGETS}/rename", json=order).json()["target"]["key"] == "META"
    assert recognized(client, "facebook ads") == "META"
    assert client.post(f"{TARGETS}/restore", json={"key": "FB"}).json()["retired"] is False


def test_nothing_hangs_on_what_is_not_there(client: httpx.Client) -> None:
    assert client.get(f"{TARGETS}/impact", params={"key": "nix"}).status_code == 404


def test_the_same_key_twice_is_refused_and_nothing_written(client: httpx.Client) -> None:
    keys = ["NEW", "BLUE", "NEW", "OTHER", " BLUE ", "NEW"]
    body = [{"key": key, "name": f"{key} {n}"} for n, key in enumerate(keys)]
    refused = client.post(TARGETS, json=body)
    assert refused.status_code == 422
    told = {one["field"]: one["message"] for one in refused.json()["errors"]}
    assert told.keys() == {"body.2.key", "body.4.key", "body.5.key"}
    assert "'NEW' is that of item 0" in told["body.5.key"]
    found = client.get(TARGETS).json()["items"]
    assert {one["name"] for one in found} == {"Starbucks", "Amazon", "Blue Bottle Coffee"}


def test_a_file_of_targets_is_taken_whole_or_not_at_all(client: httpx.Client) -> None:
    def sent(content: str, **fields: str) -> httpx.Response:
        return client.post(f"{TARGETS}/file", files={"file": ("c.csv", content)}, data=fields)

    before = client.get(TARGETS).json()["total"]
    done = sent("code;name;category;iso\n1;One;A;x\n2;Two;;\n1;Uno;A;y\n", key_column="code")
    assert (done.status_code, done.json()) == (
        201,
        {"created": 2, "changed": 0, "total": before + 2},
    )
    found = {one["key"]: one for one in client.get(TARGETS).json()["items"]}
    assert (found["1"]["name"], found["1"]["attributes"]) == ("Uno", {"iso": "y"})
    hole, wrong, long, odd = (
        sent("key,name\n3,Three\n,Four\n"),
        sent("id,name\n3,Three\n"),
        sent(f"key,name\n3,{'x' * 501}\n"),
        sent("key,name\n3,Three\n", colour="red"),
    )
    assert "c.csv line 3: the key is empty; nothing was loaded" in hole.json()["detail"]
    assert "c.csv has no column 'key'; it has id, name" in wrong.json()["detail"]
    assert "the name is over 500 characters" in long.json()["detail"]
    assert odd.json()["errors"][0]["field"] == "form.colour"
    assert client.get(TARGETS).json()["total"] == before + 2
