"""Many components looked at together: each in a thread of its own, and none waited for for long."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm_pipeline.domain.health import Health, Seen

PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """A look at a component, and at what only this one can tell of; `name` is the component that
    is down when there is no answer."""

    name: str
    look: Callable[[], Sequence[Seen]]


class Looker:
    """Looks at everything at once; a look that hangs is not begun a second time before it ends."""

    def __init__(self, checks: Sequence[Check], patience: float = PATIENCE_SECONDS) -> None:
        self._checks = checks
        self._patience = patience
        self._under_way: dict[str, _Look] = {}

    def look(self) -> list[Seen]:
        """Return what is seen; what could not be asked is left out."""
        for check in self._checks:
            if check.name not in self._under_way:
                self._under_way[check.name] = _Look(check)
        deadline = time.monotonic() + self._patience
        found: list[Seen] = []
        for name, look in list(self._under_way.items()):
            if look.done.wait(max(0.0, deadline - time.monotonic())):
                del self._under_way[name]
            found += look.found()
        return found


class _Look:
    """One look under way. Its thread is a daemon: a hanging one must not keep the process up."""

    def __init__(self, check: Check) -> None:
        self.done = threading.Event()
        self._name = check.name
        self._seen: Sequence[Seen] | None = None
        self._began = time.monotonic()
        name = f"look at {check.name}"
        threading.Thread(target=self._run, args=(check,), name=name, daemon=True).start()

    def _run(self, check: Check) -> None:
        try:
            self._seen = check.look()
        finally:
            self.done.set()

    def found(self) -> Sequence[Seen]:
        if self._seen is not None:
            return self._seen
        seconds = time.monotonic() - self._began
        told = "the look at it failed; the log says why"
        if not self.done.is_set():
            told = f"has not answered for {seconds:.0f} s"
        return [Seen(self._name, Health.DOWN, "", told)]
