"""Every error as RFC 9457 `application/problem+json`; one table from the tree to HTTP status."""

import errno
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.exceptions import (
    RequestValidationError,
    ValidationException,
    WebSocketRequestValidationError,
)
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketState

from llm_pipeline import errors
from llm_pipeline.store.state import UNAVAILABLE

logger = logging.getLogger(__name__)

_MOST_FIELDS = 100
_INTERNAL_ERROR = 1011  # RFC 6455

STATUS: dict[type[errors.PipelineError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.Conflict: 409,
    errors.NotAllowed: 403,
    errors.NotSignedIn: 401,
    errors.GateFailed: 409,
    errors.NothingToLearn: 409,
    errors.ModelUnavailable: 503,
    errors.PipelineError: 500,
}
_TITLES: dict[type[errors.PipelineError], str] = {
    errors.InvalidInput: "Invalid input",
    errors.UnknownTarget: "Unknown target",
    errors.NotFound: "Not found",
    errors.Gone: "Gone",
    errors.Conflict: "Conflict",
    errors.NotAllowed: "Not allowed",
    errors.NotSignedIn: "Not signed in",
    errors.GateFailed: "A quality gate failed",
    errors.NothingToLearn: "Nothing to learn from",
    errors.ModelUnavailable: "Model unavailable",
    errors.SetupError: "Setup error",
    errors.PipelineError: "Error",
}


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class ProblemResponse(JSONResponse):
    """A problem; escaped to ASCII, because a message may quote text that is not valid Unicode."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode("ascii")


def problem(
    status: int,
    title: str,
    detail: str,
    fields: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Render a problem."""
    content = Problem(title=title, status=status, detail=detail, errors=list(fields))
    return ProblemResponse(content.model_dump(), status, headers)


Handler = Callable[[HTTPConnection, Exception], ProblemResponse]


def install(app: FastAPI) -> None:
    """Answer every kind of error of this application with a problem."""
    handlers: dict[type[Exception], Handler] = {
        errors.PipelineError: _pipeline_error,
        RequestValidationError: _validation_error,
        WebSocketRequestValidationError: _validation_error,
        HTTPException: _http_error,
        **dict.fromkeys(UNAVAILABLE, _database_unavailable),
        OSError: _os_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, _answering(handler))
    # Not as a handler: behind one for `Exception` Starlette raises the error again, and the server
    # resets the connection.
    app.add_middleware(ExceptionMiddleware, handlers={Exception: _unexpected})


def _answering(handler: Handler) -> Any:  # Starlette has no type for a handler of both kinds
    """Send a WebSocket what a handler makes of an error: as its refusal, or once it is open by
    closing it."""

    async def answered(connection: HTTPConnection, error: Exception) -> ProblemResponse | None:
        response = handler(connection, error)
        if not isinstance(connection, WebSocket):
            return response
        if connection.application_state is WebSocketState.CONNECTING:
            await connection.send_denial_response(response)
        else:
            with suppress(RuntimeError, WebSocketDisconnect):  # the client was first
                await connection.close(_INTERNAL_ERROR)
        return None

    return answered


def _of(table: Mapping[type[errors.PipelineError], Any], error: Exception) -> Any:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def _pipeline_error(_connection: HTTPConnection, error: Exception) -> ProblemResponse:
    status = _of(STATUS, error)
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return problem(status, _of(_TITLES, error), str(error), headers=headers)


def _validation_error(_connection: HTTPConnection, error: Exception) -> ProblemResponse:
    found = error.errors() if isinstance(error, ValidationException) else ()
    fields = [
        FieldError(field=".".join(map(str, one["loc"])), message=one["msg"])
        for one in found[:_MOST_FIELDS]
    ]
    told = "; ".join(f"{one.field}: {one.message}" for one in fields[:5])
    return problem(422, "Invalid request", told, fields)


def _http_error(connection: HTTPConnection, error: Exception) -> ProblemResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    said = error.detail if isinstance(error, HTTPException) else ""
    headers = error.headers if isinstance(error, HTTPException) else None
    title = HTTPStatus(status).phrase
    if said == title:
        said = f"{_asked(connection)}: {title.lower()}; /docs lists what there is"
    return problem(status, title, str(said), headers=headers)


def _database_unavailable(connection: HTTPConnection, error: Exception) -> ProblemResponse:
    logger.error("the database did not answer %s: %s", _asked(connection), error)
    detail = "the database does not answer or is busy; nothing was changed, try again"
    return problem(503, "Database unavailable", detail, headers={"Retry-After": "1"})


def _os_error(connection: HTTPConnection, error: Exception) -> ProblemResponse:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        detail = "the disk is full; free some space and send it again"
        return problem(507, "Insufficient storage", detail)
    return _unexpected(connection, error)


def _unexpected(connection: HTTPConnection, error: Exception) -> ProblemResponse:
    if isinstance(connection, WebSocket):
        raise error  # the server logs it, and ends a WebSocket whether it was open or not
    logger.error("%s failed", _asked(connection), exc_info=error)
    detail = f"{_asked(connection)} failed; the server's log says why"
    return problem(500, "Internal error", detail)


def _asked(connection: HTTPConnection) -> str:
    return f"{connection.scope.get('method', 'WebSocket')} {connection.url.path}"
