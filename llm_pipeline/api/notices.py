"""The pages around signing in: plain HTML with its own style.

Each page comes with a policy that lets the browser run nothing but what is in it.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from html import escape
from importlib.resources import files

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """A page and its Content-Security-Policy."""

    html: str
    policy: str


def rendered(template: str, **values: str) -> Page:
    """Fill a template's `{{name}}` with escaped values; style and script stay as they are."""
    html = files("llm_pipeline.api").joinpath(template).read_text(encoding="utf-8")
    policy = _policy(html)
    for name, value in values.items():
        html = html.replace("{{" + name + "}}", escape(value))
    return Page(html, policy)


def page(html: str) -> Page:
    """Return a finished document with the policy that fits it."""
    return Page(html, _policy(html))


def _policy(html: str) -> str:
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, content in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    inline = "; ".join(f"{kind}-src {' '.join(found)}" for kind, found in allowed.items() if found)
    return (
        f"default-src 'none'; {inline}; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def signin() -> Page:
    """Return what somebody sees who has not signed in."""
    return rendered(
        "notice.html",
        title="Sign in",
        message="This dashboard opens with a one-time link. Make one in the terminal where "
        "llm-pipeline runs, and open it in this browser:",
    )


def welcome() -> Page:
    """Return what stands for a moment between a link and the dashboard."""
    return page(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="refresh" content="0; url=/"><title>Signed in · llm_pipeline</title>'
        '</head><body><p>You are signed in. <a href="/">Go on to the dashboard</a>.</p></body>'
        "</html>"
    )


def spent_link() -> Page:
    """Return what somebody sees whose link was used before, or never was one."""
    return rendered(
        "notice.html",
        title="This link does not sign you in",
        message="A link works once, and not for ever: this one was used, has expired, or is not "
        "complete. Make a new one in the terminal where llm-pipeline runs:",
    )


def trouble(message: str) -> Page:
    """Return what stands in the place of a page that cannot be built."""
    return page(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>It did not work · llm_pipeline</title><style>:root { color-scheme: light dark } "
        "body { font: 16px/1.55 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; "
        "padding: 0 24px; overflow-wrap: anywhere }</style></head><body>"
        f"<h1>This page cannot be shown</h1><p>{escape(message)}</p>"
        '<p><a href="/">Go to the overview</a>, or load the page again.</p></body></html>'
    )
