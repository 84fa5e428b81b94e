"""Dagster as others see it: its GraphQL over HTTP, so that nobody else imports it."""

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

REASON_TAG = "llm_pipeline/reason"
WANTED_TAG = "llm_pipeline/wanted"
# dagster.yaml allows one run with this tag at a time: two trainings would race for the champion.
ALONE = {"llm_pipeline/alone": "learning"}
SECONDS = 10.0
NO_ANSWER = (OSError, HTTPException, ValueError, LookupError, TypeError)

_WHERE = """{ repositoriesOrError { ... on RepositoryConnection {
    nodes { name location { name } jobs { name } } } } }"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


def why(error: Exception) -> str:
    """Return what kept a server from answering, in short."""
    return str(getattr(error, "reason", None) or error)


def learning_tags(reason: str, wanted: int) -> dict[str, str]:
    """Return the tags of a training: why it runs, and up to which wish."""
    return {REASON_TAG: reason, WANTED_TAG: str(wanted), **ALONE}


def launch(address: str, job: str, tags: Mapping[str, str]) -> str | None:
    """Put a run of a job into Dagster's queue and return its id; None if Dagster does not answer or
    does not have the job."""
    try:
        found = ask(address, _WHERE, {})["repositoriesOrError"].get("nodes", ())
        selector = _selector(found, job)
        if selector is None:
            return None
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": selector, "runConfigData": {}, "executionMetadata": metadata}
        done = ask(address, _LAUNCH, {"params": params})["launchRun"]
    except NO_ANSWER:
        return None
    run: dict[str, str] = done.get("run") or {}
    return run.get("runId")


def _selector(repositories: Any, job: str) -> dict[str, str] | None:
    for one in repositories:
        if any(each["name"] == job for each in one["jobs"]):
            location, name = one["location"]["name"], one["name"]
            return {"repositoryName": name, "repositoryLocationName": location, "jobName": job}
    return None


def ask(
    address: str, query: str, variables: Mapping[str, Any], seconds: float = SECONDS
) -> dict[str, Any]:
    """Ask Dagster's GraphQL; raises one of `NO_ANSWER` if it does not answer, or not that."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{address}/graphql", body, headers)  # noqa: S310 (the address is a setting)
    with urlopen(request, timeout=seconds) as answer:  # noqa: S310
        data: dict[str, Any] = json.load(answer)["data"]
    return data
