"""What narrows a list of mappings, out of a request's query."""

from typing import Annotated

from fastapi import Depends, Query

from llm_pipeline.api.deps import Moment, Word
from llm_pipeline.domain.records import Source, Status
from llm_pipeline.store.filters import Filter

Several = Annotated[list[Status] | None, Query(description="any of these; without it all")]
Arrived = Annotated[Moment | None, Query(description="time of arrival; in UTC if it names no zone")]


def narrowed(
    q: Word = "",
    status: Several = None,
    target: Word | None = None,
    category: Word | None = None,
    source: Source | None = None,
    upload: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    submitter: Word | None = None,
    since: Arrived = None,
    until: Arrived = None,
    policy: Annotated[
        int | None, Query(ge=1, lt=2**63, description="approved by this version of the policy")
    ] = None,
    model: Annotated[
        Word | None, Query(description="approved by a policy, as this model answered")
    ] = None,
    decided_by: Annotated[Word | None, Query(description="who decided last")] = None,
) -> Filter:
    """Return the filter that a request asks for; `since` is included, `until` is not."""
    return Filter(
        q=q,
        status=tuple(status) if status else None,
        target=target,
        category=category,
        source=source and source.value,
        upload=upload,
        submitter=submitter,
        since=since,
        until=until,
        policy=policy,
        model=model,
        decided_by=decided_by,
    )


Narrowed = Annotated[Filter, Depends(narrowed)]
