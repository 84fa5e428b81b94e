"""Who is asking: bearer tokens for programs, a session cookie for the dashboard."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from llm_pipeline.api.deps import Given, Services
from llm_pipeline.api.parameters import refuse_unknown
from llm_pipeline.domain.records import Role
from llm_pipeline.errors import NotAllowed, NotSignedIn
from llm_pipeline.store import credentials
from llm_pipeline.wiring import now

COOKIE = "llm_pipeline_session"
SESSION_LASTS = timedelta(hours=12)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

bearer = HTTPBearer(auto_error=False, description="a token from `llm-pipeline users token`")
cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="set by /signin")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, what they may do, and how they proved it."""

    user: str
    role: Role
    via: Literal["token", "session"]

    def demand(self, needed: Role, what: str) -> None:
        """Raise NotAllowed unless the caller's role reaches."""
        if not self.role.reaches(needed):
            raise NotAllowed(
                f"{self.user} is {self.role.value}; {what} needs the role {needed.value}. "
                "An admin can make a token with it: `llm-pipeline users token NAME --role ROLE`"
            )


def identify(services: Services, token: str | None, session_id: str | None) -> Caller | None:
    """Return the caller; a token that came along counts before the cookie."""
    kind: Literal["token", "session"] = "session" if token is None else "token"
    secret = session_id if token is None else token
    if not secret:
        return None
    with services.parts.read() as session:
        found = credentials.find(session, kind, secret, now())
    return None if found is None else Caller(found.user, found.role, kind)


def caller_of(services: Services, request: HTTPConnection) -> Caller | None:
    """Return who sends a request, as it stands now: a token may have ended since it began."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token if scheme.lower() == "bearer" and token else None
    return identify(services, bearer, request.cookies.get(COOKIE))


class Guard:
    """A dependency that lets a role and those above it pass, and no parameter that nobody reads."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(
        self,
        request: Request,
        services: Given,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        cookie: Annotated[str | None, Depends(cookie)],
    ) -> Caller:
        caller = identify(services, bearer.credentials if bearer else None, cookie)
        if caller is None:
            raise NotSignedIn(
                "send `Authorization: Bearer TOKEN` (`llm-pipeline users token` makes one), "
                "or sign in with the link from `llm-pipeline users link`"
            )
        if caller.via == "session":
            refuse_cross_site(request)
        caller.demand(self.role, f"{request.method} {request.url.path}")
        refuse_unknown(request)
        return caller


def admit_socket(websocket: WebSocket) -> Caller:
    """Let whoever may read open a WebSocket; a browser's, with its cookie, from our pages only."""
    services: Services = websocket.app.state.services
    caller = caller_of(services, websocket)
    if caller is None:
        raise NotSignedIn("sign in, or send `Authorization: Bearer TOKEN`")
    if caller.via == "session" and not _is_own(websocket):
        raise NotAllowed("this request came from another site")
    refuse_unknown(websocket)
    return caller


def require(role: Role) -> Any:
    """Return the dependency for routes that need a role."""
    return Depends(Guard(role))


Viewer = Annotated[Caller, require(Role.VIEWER)]
Submitter = Annotated[Caller, require(Role.SUBMITTER)]
Reviewer = Annotated[Caller, require(Role.REVIEWER)]
Admin = Annotated[Caller, require(Role.ADMIN)]
ViewerSocket = Annotated[Caller, Depends(admit_socket)]


def roles(app: FastAPI) -> dict[tuple[str, str], Role]:
    """Return the role that each method and path of an application needs."""
    found = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            guards = [
                d.call.role for d in route.dependant.dependencies if isinstance(d.call, Guard)
            ]
            keys = [(method, context.path or "") for method in context.methods or ()]
            found.update({key: role for key in keys for role in guards})
    return found


def refuse_cross_site(request: Request) -> None:
    """Raise NotAllowed when another site makes the browser send its cookie along with a change."""
    if request.method in _SAFE_METHODS:
        return
    if not _is_own(request):
        raise NotAllowed("this request came from another site; use the dashboard, or a token")


def _is_own(request: HTTPConnection) -> bool:
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = site not in (None, "same-origin", "none")
    return not foreign and not (origin and urlsplit(origin).netloc != request.headers.get("host"))


def open_session(services: Services, code: str) -> str | None:
    """Spend a one-time link and return the secret of a new session; None for a used one."""
    secret = secrets.token_urlsafe(32)
    at = now()
    with services.parts.begin() as session:
        identity = credentials.use_once(session, "link", code, at)
        if identity is None:
            return None
        credentials.add(session, "session", secret, identity, at, at + SESSION_LASTS)
    return secret


def close_session(services: Services, secret: str) -> None:
    """Spend a session: from now on it is nobody's."""
    with services.parts.begin() as session:
        credentials.use_once(session, "session", secret, now())
