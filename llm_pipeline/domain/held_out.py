"""Which grouping keys test models and never teach their weights."""

import zlib


def is_held_out(key: str) -> bool:
    """Whether a key tests: a tenth do, chosen by a hash, for ever.

    >>> is_held_out("taxi"), is_held_out("delta air")
    (True, False)
    """
    return zlib.crc32(key.encode()) % 10 == 0
