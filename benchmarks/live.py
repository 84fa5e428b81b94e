"""The streams at their limits: 200 clients at once, and one that is cut off for a minute.

    python benchmarks/live.py --home FOLDER --out FILE

`clients`: 200 readers of the stream of everything while texts are submitted one by one: from the
time an event says it happened to the last of them having it, and what a reader costs the server.
`cut`: two readers, one SSE and one WebSocket, are cut off for a minute while files and texts come
in, and go on after the last offset they had: what they missed or got twice, beside the log.
"""

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import psutil
from center.descriptors import write
from center.serving import MAPPINGS, client, started
from center.stores import PEOPLE, Stores, stores, token
from websockets.sync.client import connect

STREAM = "/api/llm/stream-updates"
EVENTS = "/api/llm-data/events"
UPLOADS = "/api/llm-center/uploads"
CLIENTS = 200
SENT = 300
EVERY_SECONDS = 0.1
BEFORE_SECONDS, CUT_SECONDS, AFTER_SECONDS = 15.0, 60.0, 15.0
ROWS = 20_000
HEADERS = {"Authorization": f"Bearer {token(PEOPLE[0])}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="clients,cut", help="of clients, cut")
    parser.add_argument("--home", type=Path, required=True, help="where the stores are kept")
    parser.add_argument("--out", type=Path, required=True, help="file that lines are added to")
    given = parser.parse_args()
    parts: dict[str, Callable[[Stores], str]] = {"clients": clients, "cut": cut}
    with stores(given.home, "sqlite") as found, given.out.open("a") as out:
        for part in given.only.split(","):
            told = parts[part](found)
            print(told)
            out.write(told + "\n")


@dataclass
class Reader:
    """What one client of the stream got: offsets as they came, and seconds since each happened."""

    start: int = 0
    offsets: list[int] = field(default_factory=list)
    delays: dict[int, float] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return self.offsets[-1] if self.offsets else self.start

    def hear(self, told: dict[str, object]) -> None:
        if "name" in told:
            offset = int(str(told["offset"]))
            happened = datetime.fromisoformat(str(told["at"])).timestamp()
            self.offsets.append(offset)
            self.delays[offset] = time.time() - happened


def clients(found: Stores) -> str:
    settings = found.fresh("streams")
    with started(settings) as (address, process):
        server = psutil.Process(process.pid)
        with client(address) as http:
            _submit(http, 20, "warm")
            before = server.memory_info().rss
            readers = [Reader() for _ in range(CLIENTS)]
            with _reading(address, readers):
                alone = server.memory_info().rss
                began = len(readers[0].offsets)
                _submit(http, SENT, "text")
                time.sleep(3)
                busy = server.memory_info().rss
    heard = set(readers[0].offsets[began:])
    lost = sum(set(reader.offsets) != set(readers[0].offsets) for reader in readers)
    slowest = [max(reader.delays[offset] for reader in readers) for offset in sorted(heard)]
    return (
        f"| {CLIENTS} readers, {len(heard)} events at {1 / EVERY_SECONDS:.0f} a second: "
        f"until the last reader has it | p50 {_ms(slowest, 50)}, p95 {_ms(slowest, 95)}, "
        f"longest {_ms(slowest, 100)} ms; readers that missed any: {lost} | p95 1,000 ms |\n"
        f"| server memory for each reader | {(alone - before) / CLIENTS / 1024:.0f} KB connected, "
        f"{(busy - before) / CLIENTS / 1024:.0f} KB after the events | stated |"
    )


def _ms(seconds: list[float], percent: float) -> str:
    return f"{np.percentile(seconds, percent) * 1000:,.0f}"


def _submit(http: httpx.Client, number: int, word: str) -> None:
    """Submit texts one by one, at a steady pace."""
    for n in range(number):
        due = time.monotonic() + EVERY_SECONDS
        http.post(MAPPINGS, json={"text": f"{word} number {n} of the benchmark"}).raise_for_status()
        time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def _reading(address: str, readers: list[Reader]) -> Iterator[None]:
    """Read with all at once, in one event loop of a thread, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> list[asyncio.Task[None]]:
        opened = [asyncio.Event() for _ in readers]
        tasks = [
            loop.create_task(_read(address, reader, known))
            for reader, known in zip(readers, opened, strict=True)
        ]
        for known in opened:
            await known.wait()
        return tasks

    tasks = asyncio.run_coroutine_threadsafe(begin(), loop).result(120)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_end(tasks), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _read(address: str, reader: Reader, opened: asyncio.Event) -> None:
    """A client as light as can be: the readers share two cores with the server."""
    host, port = address.removeprefix("http://").split(":")
    source, sink = await asyncio.open_connection(host, int(port))
    lines = [f"GET {STREAM} HTTP/1.1", f"Host: {host}:{port}"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    sink.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    while line := await source.readline():
        if line.startswith(b": after offset"):
            opened.set()
        if line.startswith(b"data:"):
            reader.hear(json.loads(line[5:]))


def cut(found: Stores) -> str:
    settings = found.fresh("cut")
    files = [found.home / f"cut_{number}.csv" for number in range(2)]
    for number, path in enumerate(files):
        write(path, ROWS, 70 + number)
    with started(settings) as (address, _process), client(address) as http:
        over = threading.Event()
        load = threading.Thread(target=_load, args=(address, files, over))
        start = _offset(http)
        kinds: Kinds = {"SSE": (Reader(start), _sse), "WebSocket": (Reader(start), _websocket)}
        first = _listening(address, kinds)
        load.start()
        time.sleep(BEFORE_SECONDS)
        _hang_up(first)
        had = {kind: len(reader.offsets) for kind, (reader, _) in kinds.items()}
        time.sleep(CUT_SECONDS)
        missed = _offset(http)
        second = _listening(address, kinds)
        time.sleep(AFTER_SECONDS)
        over.set()
        load.join()
        last = _offset(http)
        for reader, _ in kinds.values():
            _until_it_has(reader, last)
        _hang_up(second)
    wanted = list(range(start + 1, last + 1))
    return "\n".join(
        f"| {kind} cut off for {CUT_SECONDS:.0f} s: {missed - reader.offsets[had[kind] - 1]:,} "
        f"events behind when it came back, {len(wanted):,} in all | lost "
        f"{len(set(wanted) - set(reader.offsets))}, twice "
        f"{len(reader.offsets) - len(set(reader.offsets))}, out of order "
        f"{sum(a >= b for a, b in zip(reader.offsets, reader.offsets[1:], strict=False))} | 0 |"
        for kind, (reader, _) in kinds.items()
    )


def _offset(http: httpx.Client) -> int:
    return int(http.get("/api/llm/state").raise_for_status().json()["offset"])


def _load(address: str, files: list[Path], over: threading.Event) -> None:
    """Texts one after another, and a file before and one while the readers are away."""
    with client(address) as http:
        began, sent, number = time.monotonic(), 0, 0
        while not over.is_set():
            number += 1
            http.post(MAPPINGS, json={"text": f"text {number}"}).raise_for_status()
            if sent < len(files) and time.monotonic() - began > (5, 30)[sent]:
                with files[sent].open("rb") as file:
                    http.post(UPLOADS, files={"file": (files[sent].name, file)}).raise_for_status()
                sent += 1


Kinds = dict[str, tuple[Reader, Callable[[str, Reader, threading.Event], None]]]
Listening = list[tuple[threading.Thread, threading.Event]]


def _listening(address: str, kinds: Kinds) -> Listening:
    started_now = []
    for reader, read in kinds.values():
        off = threading.Event()
        thread = threading.Thread(target=read, args=(address, reader, off))
        thread.start()
        started_now.append((thread, off))
    return started_now


def _hang_up(listening: Listening) -> None:
    for _, off in listening:
        off.set()
    for thread, _ in listening:
        thread.join()


def _sse(address: str, reader: Reader, off: threading.Event) -> None:
    headers = {**HEADERS, "Last-Event-ID": str(reader.last)}
    with httpx.stream("GET", address + STREAM, headers=headers, timeout=60) as answer:
        for line in answer.iter_lines():
            if off.is_set():
                return
            if line.startswith("data:"):
                reader.hear(json.loads(line[5:]))


def _websocket(address: str, reader: Reader, off: threading.Event) -> None:
    url = f"{address.replace('http', 'ws', 1)}{STREAM}?after={reader.last}"
    with connect(url, additional_headers=HEADERS) as socket:
        while not off.is_set():
            reader.hear(json.loads(socket.recv()))


def _until_it_has(reader: Reader, offset: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and reader.last < offset:
        time.sleep(0.1)


if __name__ == "__main__":
    main()
