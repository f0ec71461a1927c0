"""When the server is asked again: each box at its own moment, and as late as a busy server asks for, within reason.

In: the pause that the loop chose, `Retry-After` of answers (RFC 9110, 10.2.3: seconds, or a date by the server's own
clock). Out: seconds to wait. Rules: nobody signs that header, so whoever is on the way could say a year: it makes a
pause longer, up to `MOST`, and never shorter; only an answer that says "too many" or "not now" has it. A pause is
stretched by up to a tenth, so that boxes that an outage woke at once do not stay together.

    patience = asked(503, "120", 0.0)       # 120.0
    pause(30.0, patience)                   # 120.0 to 132.0
"""

import random
from email.utils import parsedate_to_datetime

from toweros_agent import deadlines

MOST = 900.0
"""Seconds. A box that is told to wait for longer looks again then."""
BUSY = (429, 503)
BACK_OFF = 2.0
"""Seconds before the second attempt of a download; doubled for each further one."""
SPREAD = 0.1


def asked(status: int, words: str, date: float) -> float:
    """Seconds that an answer asks for; 0: for none. `date`: what the server says that the time is."""
    if status not in BUSY or not words:
        return 0.0
    if words.isascii() and words.isdecimal():
        return min(float(words[:9]), MOST)
    try:
        return max(0.0, min(parsedate_to_datetime(words).timestamp() - date, MOST)) if date else 0.0
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def back_off(attempt: int, patience: float) -> float:
    """Seconds after an attempt of a download, the first being 1. `patience`: what the server asked for with it."""
    return max(BACK_OFF * 2.0 ** (attempt - 1), min(patience, deadlines.BUSY))


def pause(seconds: float, patience: float) -> float:
    """How long to wait: never less than was chosen. A moment stays one."""
    longest = max(seconds, patience) if seconds else 0.0
    return longest * random.uniform(1.0, 1.0 + SPREAD)  # noqa: S311 - nothing is kept secret by it
