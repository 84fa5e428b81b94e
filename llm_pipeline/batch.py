"""A file recognised: chunks go to worker processes, answers come back in order and into the output.

Each worker loads the champion once and learns what was approved since; it answers a whole run from
that state. Formats are the business of `tabular`, surviving a break of `unfinished`, processes of
`workers`.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llm_pipeline import tabular, unfinished, workers
from llm_pipeline.config import Settings
from llm_pipeline.domain.text import MAX_TEXT_LENGTH, text_problem
from llm_pipeline.errors import InvalidInput, ModelUnavailable
from llm_pipeline.files import digest
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.store import models
from llm_pipeline.tabular import Cells, Chunk, Source
from llm_pipeline.unfinished import Block, Purpose, Standing, Unfinished
from llm_pipeline.wiring import Parts

# Bytes. Workers take 2 s to start on two cores: won back by 50,000 new texts (1.3 MB), or by some
# 500,000 rows of a stream that repeats itself. A file is taken for the former, where more is lost.
SMALL_FILE = 2_000_000
_KEPT_ANSWERS = 50_000


@dataclass(frozen=True, slots=True)
class Job:
    """A file to recognise; `workers` 0 leaves their number to the size of the file."""

    source: Path
    output: Path
    text_column: str = "text"
    top_k: int = 5
    encoding: str = "utf-8-sig"
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a worker must know of its job to turn chunks into blocks of the output."""

    text_column: str
    top_k: int
    source: Source
    ending: str


class Answerer:
    """Turns chunks into blocks; a text that comes again is answered and written down once."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        self._settings = settings
        self._shape = shape
        self._schema = tabular.answered_schema(shape.source)
        self._serving: Serving | None = None
        self._known: dict[str, Cells] = {}

    def __call__(self, chunk: Chunk) -> Block:
        shape = self._shape
        texts = [(text or "").strip() for text in chunk.texts(shape.text_column)]
        added = self._answers(texts)
        for place, problem in chunk.problems.items():
            added[place] = tabular.not_attempted(problem)
        data = tabular.block(chunk.table, added, self._schema, shape.ending, shape.source.delimiter)
        return Block(data, Counter(cells.state for cells in added))

    def _answers(self, texts: list[str]) -> list[Cells]:
        if len(self._known) > _KEPT_ANSWERS:
            self._known = {}
        known = self._known
        new = [text for text in dict.fromkeys(texts) if text not in known]
        problems = {text: problem for text in new if (problem := _problem(text))}
        known |= {text: tabular.not_attempted(told) for text, told in problems.items()}
        asked = [text for text in new if text not in problems]
        found = self._ready().recognize(asked, self._shape.top_k)
        known |= {text: tabular.cells(a) for text, a in zip(asked, found, strict=True)}
        return [known[text] for text in texts]

    def _ready(self) -> Serving:
        if self._serving is None:
            parts = Parts(self._settings)
            serving = parts.serving()
            parts.engine.dispose()
            if serving.problem:
                # Memory alone would answer less than the champion, and nobody would see it.
                raise ModelUnavailable(serving.problem)
            self._serving = serving
        return self._serving


def recognize_file(
    parts: Parts,
    job: Job,
    hear: Callable[[int], None],
    say: Callable[[str], None],
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Standing:
    """Answer every row of a file; `hear` is told the rows that are done, `say` what happens.

    If it breaks off, whole rows stay under a temporary name, and `resume` goes on behind them.
    """
    shape = _shape(job)
    schema = tabular.answered_schema(shape.source)
    join = partial(tabular.join, schema=schema) if shape.ending == tabular.PARQUET else None
    purpose: Purpose = {
        "input": digest(job.source),
        "text column": job.text_column,
        "top-k": job.top_k,
        "encoding": job.encoding,
    }
    output = unfinished.begin(
        job.output, shape.ending, purpose, join, resume=resume, overwrite=overwrite
    )
    if not _fetch_champion(parts):
        say("no model yet, approved texts alone are known: run `llm-pipeline train`")
    with output:
        try:
            if not output.standing.extent:
                output.head(tabular.head(schema, shape.ending, shape.source.delimiter))
            _fill(output, job, shape, parts.settings, hear)
        except BaseException:
            _tell_standing(output, say)
            raise
    return output.standing


def default_output(source: Path) -> Path:
    return source.with_name(f"{tabular.stem(source)}.recognized.csv")


def _fill(
    output: Unfinished, job: Job, shape: Shape, settings: Settings, hear: Callable[[int], None]
) -> None:
    answerer = Answerer(settings, shape)
    chunks = shape.source.chunks(output.standing.rows)
    number = job.workers or _workers(job.source)
    hear(output.standing.rows)
    with closing(workers.ordered(answerer, chunks, number)) as blocks:
        for block in blocks:
            output.add(block)
            hear(output.standing.rows)
    output.finish()


def _tell_standing(output: Unfinished, say: Callable[[str], None]) -> None:
    if rows := output.standing.rows:
        say(
            f"broken off after {rows:,} rows: they are in {output.path}; "
            "the same command with --resume goes on from there"
        )


def _shape(job: Job) -> Shape:
    ending = tabular.kind(job.output)
    if not ending:
        raise InvalidInput(
            f"the output {job.output.name} must end in one of {', '.join(tabular.KINDS)}"
        )
    if job.output.resolve() == job.source.resolve():
        raise InvalidInput(f"{job.output} is the input itself; choose another with --output")
    source = tabular.open_source(job.source, job.encoding)
    if job.text_column not in source.schema.names:
        raise InvalidInput(
            f"{job.source.name} has no column {job.text_column!r}; it has "
            f"{', '.join(source.schema.names)}. Name the one of the text with --text-column"
        )
    return Shape(job.text_column, job.top_k, source, ending)


def _problem(text: str) -> str:
    if not text:
        return "there is no text"
    if len(text) > MAX_TEXT_LENGTH:
        return f"the text has {len(text):,} characters; at most {MAX_TEXT_LENGTH:,} are recognised"
    return text_problem(text)


def _fetch_champion(parts: Parts) -> bool:
    """Bring the champion's bundle to the disk, so that no worker needs MLflow; False if there is
    no champion."""
    with parts.read() as session:
        champion = models.champion(session)
    if champion is None:
        return False
    parts.registry.bundle(champion.version, parts.settings.path("models"))
    return True


def _workers(source: Path) -> int:
    return 1 if source.stat().st_size < SMALL_FILE else len(os.sched_getaffinity(0))
