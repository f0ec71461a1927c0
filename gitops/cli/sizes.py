"""Sizes as people type them: 500M, 20G. In: the word. Out: bytes; None for what is no size.

Rules: whole numbers of at most nine digits; units of 1024. What a number alone means, the caller says.

    size("20G")                    # 21474836480
    size("1024", alone="M")        # LinuxKit's: a disk of 1 GiB
"""

import re

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
"""Bytes."""


def size(word: str, alone: str = "") -> int | None:
    """Bytes. `alone`: the unit of a number without one."""
    found = re.fullmatch(r"([0-9]{1,9})([KMGT]?)", word)
    return int(found[1]) * UNITS[found[2] or alone] if found else None
