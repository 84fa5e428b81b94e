"""Our recogniser and its peers on the same rows, in one run.

    python benchmarks/recognition.py DATA_FOLDER --task banking77,nsi --out FOLDER

DATA_FOLDER holds the sets named in `tasks.py`. Every pair of task and recogniser has a process of
its own, one after the other, so that memory is told apart. Writes `results.md`, `results.json`
and a picture per task into FOLDER, and prints the tables.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
from measuring import peak_megabytes
from own import Own
from peers import PEERS, Recogniser, TooManyTargetsError
from scoring import Answered
from tables import draw, markdown, write_json
from tasks import SEED, TASKS, Task

RECOGNISERS: dict[str, Callable[[], Recogniser]] = {"own": Own, **PEERS}


@dataclass
class Result:
    """How one recogniser did on one task; `problem` says why it did not run."""

    name: str
    own: bool
    problem: str = ""
    fit_seconds: float = 0.0
    start_mb: float = 0.0
    peak_mb: float = 0.0
    answered: dict[str, Answered] = field(default_factory=dict)
    extras: dict[str, float] = field(default_factory=dict)


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    done: dict[str, list[Result]] = {}
    for name in given.task:
        task = TASKS[name](given.folder)
        done[name] = [alone(given.folder, name, recogniser) for recogniser in given.recogniser]
        text = markdown(task, done[name])
        print(text, flush=True)
        with (given.out / "results.md").open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        draw(task, done[name], given.out / f"{name}.png")
        write_json(done, given.out / "results.json")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the data sets")
    parser.add_argument("--task", type=_listed(TASKS), default=list(TASKS), help=", ".join(TASKS))
    parser.add_argument(
        "--recogniser",
        type=_listed(RECOGNISERS),
        default=list(RECOGNISERS),
        help=", ".join(RECOGNISERS),
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    return parser.parse_args()


def _listed(known: dict[str, object]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown} not among {', '.join(known)}")
        return names

    return parse


def alone(folder: Path, task: str, recogniser: str) -> Result:
    """Measure in a fresh process; one that is ended, as for its memory, is a result too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, folder, task, recogniser).result()
        except BrokenProcessPool:
            name = RECOGNISERS[recogniser]().name
            return Result(name, recogniser == "own", "its process ended without an answer")


def measure(folder: Path, task_name: str, recogniser_name: str) -> Result:
    task, recogniser = TASKS[task_name](folder), RECOGNISERS[recogniser_name]()
    result = Result(recogniser.name, recogniser_name == "own", start_mb=peak_megabytes())
    started = perf_counter()
    try:
        recogniser.fit(task.texts, task.targets, task.catalogue)
    except TooManyTargetsError as problem:
        result.problem = str(problem)
        return result
    result.fit_seconds = perf_counter() - started
    result.answered = {group: answer(recogniser, task, rows) for group, rows in task.groups.items()}
    result.peak_mb = peak_megabytes()
    result.extras = task.extras(result.answered) if task.extras else {}
    return result


def answer(recogniser: Recogniser, task: Task, rows: np.ndarray) -> Answered:
    """Time the batch twice; a slow recogniser answers a seeded sample once."""
    limit = recogniser.limit
    if limit is not None and len(rows) > limit:
        rows = np.random.default_rng(SEED).choice(rows, limit, replace=False)
    texts = task.test_texts[rows].tolist()
    seconds = []
    for _ in range(2 if limit is None else 1):
        started = perf_counter()
        ranked, scores = recogniser.rank(texts, task.top_k)
        seconds.append(perf_counter() - started)
    return Answered(task.test_targets[rows], ranked, scores, min(seconds))


if __name__ == "__main__":
    main()
