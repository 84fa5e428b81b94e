"""The API's reference, made from its OpenAPI description; it works without a network."""

import json
from html import escape
from typing import Any

from llm_pipeline.api.notices import Page, page

_STYLE = """
:root { color-scheme: light dark; --bg: #f5f6f8; --card: #fff; --ink: #14181f; --soft: #55606e;
  --line: #dfe3e9; --get: #0b5cad; --post: #176b3a }
@media (prefers-color-scheme: dark) { :root { --bg: #0e1116; --card: #161b22; --ink: #e8ecf2;
  --soft: #9aa6b5; --line: #2a323d; --get: #7db8ff; --post: #6fd897 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 24px 16px 64px; background: var(--bg);
  color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
h1 { font-size: 26px; letter-spacing: -.015em; margin: 0 0 4px }
h2 { font-size: 17px; margin: 32px 0 10px }
p { color: var(--soft); margin: 0 0 12px } a { color: var(--get) }
details { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  margin: 6px 0; overflow: hidden }
summary { display: flex; flex-wrap: wrap; gap: 2px 12px; padding: 11px 14px; cursor: pointer }
summary:hover { background: var(--bg) }
:focus-visible { outline: 3px solid var(--get); outline-offset: 2px }
code, pre, b { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 13px }
b { width: 3.2em; color: var(--post) } b.get { color: var(--get) }
summary code { overflow-wrap: anywhere } summary span { color: var(--soft); flex: 1 1 14rem }
summary i { color: var(--soft); font-style: normal; font-size: 13px; border: 1px solid var(--line);
  border-radius: 99px; padding: 0 9px }
div { padding: 4px 14px 14px; border-top: 1px solid var(--line) }
h3 { font-size: 13px; margin: 12px 0 4px; color: var(--soft); font-weight: 600 }
pre { margin: 0; padding: 12px; overflow: auto; max-height: 24rem; background: var(--bg);
  border-radius: 8px }
"""


def reference(description: dict[str, Any]) -> Page:
    """Return every route with method, path, role, parameters and schemas."""
    groups: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            group = operation.get("tags", ["Other"])[0]
            groups.setdefault(group, []).append(_operation(method, path, operation))
    body = "".join(f"<h2>{escape(group)}</h2>{''.join(found)}" for group, found in groups.items())
    schemas = description.get("components", {}).get("schemas", {})
    shapes = "".join(_schema(name, schema) for name, schema in sorted(schemas.items()))
    title = f"{description['info']['title']} {description['info']['version']}"
    return page(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>API · {escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><h1>API of {escape(title)}</h1>"
        "<p>JSON in and out; errors are <code>application/problem+json</code>. Send "
        '<code>Authorization: Bearer TOKEN</code>. <a href="/openapi.json">openapi.json</a> · '
        f'<a href="/">Dashboard</a></p>{body}<h2>Schemas</h2>{shapes}</body></html>'
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        _block("Parameters", operation.get("parameters")),
        _block("Body", operation.get("requestBody", {}).get("content")),
        _block("Answers", operation.get("responses")),
    ]
    role = operation.get("x-role", "anybody")
    return (
        f'<details><summary><b class="{escape(method)}">{escape(method.upper())}</b>'
        f"<code>{escape(path)}</code><span>{escape(operation.get('summary', ''))}</span>"
        f"<i>{escape(role)}</i></summary><div>{''.join(parts)}</div></details>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    told = escape(schema.get("description", ""))
    return (
        f"<details><summary><code>{escape(name)}</code><span>{told}</span></summary>"
        f"<div>{_block('Schema', schema)}</div></details>"
    )


def _block(title: str, content: object) -> str:
    if not content:
        return ""
    told = escape(json.dumps(content, indent=2, ensure_ascii=False))
    return f'<h3>{title}</h3><pre tabindex="0">{told}</pre>'
