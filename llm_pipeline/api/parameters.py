"""Parameters of a request's query that its route does not know: a misspelt filter would otherwise
match everything.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.requests import HTTPConnection

_ALIKE = 0.7  # at 0.6, `sort` is like `cursor`


def refuse_unknown(request: HTTPConnection) -> None:
    """Raise RequestValidationError naming each parameter that the route does not know, and the one
    that may have been meant."""
    known = list(_known(request.scope["route"].dependant))
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError(
            [{"loc": ("query", name[:100]), "msg": _told(name, known)} for name in unknown]
        )


def _known(dependant: Dependant) -> Iterator[str]:
    yield from (one.alias for one in dependant.query_params)
    for needed in dependant.dependencies:
        yield from _known(needed)


def _told(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1, _ALIKE)
    if near:
        return f"there is no such parameter; did you mean {near[0]!r}?"
    return f"there is no such parameter; there is {', '.join(known) or 'none here'}"
