"""A multipart body to a file on disk, piece by piece, after the sender was let in.

FastAPI's own form parsing would spool the file before anybody asks who sends it.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from llm_pipeline.errors import InvalidInput

Form = TypeVar("Form", bound=BaseModel)
Result = TypeVar("Result")

INCOMING = "incoming-"
_LIMITS = {"MAX_MEMORY_FILE_SIZE": 0, "MAX_FIELDS": 20, "MAX_FIELD_SIZE": 10_000}
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Received:
    """A file in a folder of its own, and the form fields that came with it."""

    path: Path
    fields: dict[str, str]

    def form(self, kind: type[Form]) -> Form:
        """Return the fields, checked; RequestValidationError says which is wrong."""
        try:
            return kind.model_validate(self.fields)
        except ValidationError as error:
            raise RequestValidationError(
                [{**one, "loc": ("form", *one["loc"])} for one in error.errors()]
            ) from error

    def discard(self) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)


def form_schema(kind: type[BaseModel], title: str) -> dict[str, Any]:
    """Return what a route that takes a file with such fields says of its body in OpenAPI."""
    schema = kind.model_json_schema()
    schema["properties"]["file"] = {"type": "string", "format": "binary", "title": title}
    schema["required"] = ["file"]
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}}


async def handled(request: Request, folder: Path, work: Callable[[Received], Result]) -> Result:
    """Receive a file, do something with it in a thread, and put it away whatever comes of it."""
    received = await receive(request, folder)
    try:
        return await run_in_threadpool(work, received)
    finally:
        received.discard()


async def receive(request: Request, folder: Path) -> Received:
    """Write the `file` of a multipart request below `folder`; nothing stays if it breaks off."""
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type != b"multipart/form-data" or b"boundary" not in options:
        raise InvalidInput("send multipart/form-data with the file in the field `file`")
    own = Path(tempfile.mkdtemp(prefix=INCOMING, dir=folder))
    try:
        return await _parse(request, own, options[b"boundary"])
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise


async def _parse(request: Request, own: Path, boundary: bytes) -> Received:
    fields: dict[str, str] = {}
    found: list[File] = []

    def on_field(field: Field) -> None:
        fields[_decoded(field.field_name)] = _decoded(field.value)

    limits = {**_LIMITS, "UPLOAD_DIR": str(own), "UPLOAD_DELETE_TMP": False}
    parser = FormParser("multipart/form-data", on_field, found.append, None, boundary, None, limits)
    try:
        async for piece in request.stream():
            await run_in_threadpool(parser.write, piece)
        parser.finalize()
    except FormParserError as error:
        raise InvalidInput(f"the multipart body cannot be read: {error}") from error
    finally:
        for file in found:
            file.close()
    if len(found) != 1 or found[0].field_name != b"file":
        raise InvalidInput("send exactly one file, in the field `file`")
    return Received(_named(found[0], own), fields)


def _named(file: File, own: Path) -> Path:
    """Give the file the name its sender used, as far as it is a plain one."""
    said = _decoded(file.file_name).replace("\\", "/").rsplit("/", 1)[-1]
    plain = "".join(c for c in said if c.isprintable()).strip().lstrip(".")[-_LONGEST_NAME:]
    path = own / (plain or "upload.csv")
    if file.actual_file_name is None:
        path.touch()
        return path
    return Path(file.actual_file_name.decode()).rename(path)


def _decoded(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace").replace("\x00", "")
