"""A severity in one's own words, out of a CVSS vector or the words of a database. Pure.

The scale is CVSS's own: none 0.0, low to 3.9, medium to 6.9, high to 8.9, critical (CVSS v3.1, section 5).
"""

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from gitops.model import Severity

WORDS = {"moderate": Severity.medium, "important": Severity.high, "unimportant": Severity.negligible}
WORDS |= {each.value: each for each in Severity}
KINDS = {"CVSS_V2": CVSS2, "CVSS_V3": CVSS3, "CVSS_V4": CVSS4}
FROM = ((9.0, Severity.critical), (7.0, Severity.high), (4.0, Severity.medium), (0.1, Severity.low))


def of_words(text: str) -> Severity:
    """`MODERATE`, `unimportant`, `low**`; anything else is unknown."""
    return WORDS.get(text.strip().rstrip("*").lower(), Severity.unknown)


def of_vector(kind: str, vector: str) -> Severity:
    """A CVSS vector, by its base score; unknown when it is none."""
    if kind not in KINDS or len(vector) > 500:
        return Severity.unknown
    try:
        score = float(KINDS[kind](vector).scores()[0] or 0.0)
    except (CVSSError, ValueError, TypeError, KeyError, IndexError, ArithmeticError):
        return Severity.unknown
    return next((severity for least, severity in FROM if score >= least), Severity.negligible)
