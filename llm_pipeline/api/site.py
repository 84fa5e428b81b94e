"""Pages for people beside the dashboard: signing in and out, and what the API offers."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Cookie, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from llm_pipeline.api import auth, notices, reference
from llm_pipeline.api.deps import Given, Word

Session = Annotated[Word | None, Cookie(alias=auth.COOKIE)]


def build() -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter(include_in_schema=False)
    welcome = notices.welcome()

    @router.get("/signin", summary="Spend a one-time link")
    def sign_in(request: Request, services: Given, code: Word = "") -> Response:
        secret = auth.open_session(services, code)
        if secret is None:
            return _html(notices.spent_link(), HTTPStatus.FORBIDDEN)
        # A page, no redirect: a browser that comes from another site sends no strict cookie along
        # a redirect, but does so from a page of ours.
        answer = _html(welcome)
        answer.set_cookie(
            auth.COOKIE,
            secret,
            max_age=int(auth.SESSION_LASTS.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/signout", summary="End the session")
    def sign_out(request: Request, services: Given, session_id: Session = None) -> Response:
        auth.refuse_cross_site(request)
        if session_id:
            auth.close_session(services, session_id)
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(auth.COOKIE, httponly=True, samesite="strict")
        return answer

    @router.get("/docs", summary="What the API offers")
    def docs(request: Request) -> HTMLResponse:
        return _html(reference.reference(request.app.openapi()))

    return router


def _html(page: notices.Page, status: int = HTTPStatus.OK) -> HTMLResponse:
    return HTMLResponse(page.html, status, {"Content-Security-Policy": page.policy})
