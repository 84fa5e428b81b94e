"""How many rows a slice of an upload has: many while nobody else writes, few while somebody does.

Each slice is a transaction, and whoever wants to write waits for it. The log tells whether anybody
does, whatever the database and the process: between two slices it stands where the first left it.
"""

import time

# Of 5,000 rows a million took a fifth longer: pages of the indexes are written once a slice.
SLICE_ROWS = 20_000
SMALLEST_SLICE = 1_500
# In company a slice takes about so long. Measured: 500 rows in 25 ms halve the upload, and a
# decision hardly waits less: what a slice costs, whatever its size, is then most of it.
SLICE_SECONDS = 0.04
# Who wrote so long ago is taken to be gone: longer than people think about a group. The first one
# waits for a large slice, half a second at most on two cores.
COMPANY_SECONDS = 60.0
# Behind each slice, so that who waits is let in.
PAUSE_SECONDS = 0.005


class Pace:
    """The next slice of one upload."""

    def __init__(self) -> None:
        self.rows = SLICE_ROWS
        self._left_at: int | None = None
        self._alone_from = 0.0

    def begin(self, offset: int) -> None:
        """Hear at which offset of the log a slice begins."""
        if self._left_at not in (None, offset):
            self._alone_from = time.monotonic() + COMPANY_SECONDS

    def end(self, offset: int, rows: int, seconds: float) -> None:
        """Hear how the slice left the log, how many rows it had and how long they took; choose the
        next one."""
        self._left_at = offset
        if time.monotonic() >= self._alone_from:
            self.rows = SLICE_ROWS
        elif rows:
            wanted = int(rows * SLICE_SECONDS / max(seconds, 1e-6))
            self.rows = max(SMALLEST_SLICE, min(SLICE_ROWS, wanted, 2 * self.rows))
