"""A report as the server takes it, whatever is said in it. Pure.

In: the document. Out: the same, with nothing too long in it. A report that the server does not read proves nothing of a
trial, and what is too long once (a log full of NULs) is kept, and told again in every trial.
"""

from typing import Any

from toweros_agent.nouns import Json, canonical

MAX_ENVELOPE = 256 << 10
"""Bytes that the server reads of a report."""
MAX_ROWS = 100
WHOLE = ("retried", "layers", "ssh")
"""Members that count by their very words; they come out of signed metadata, or have one length."""
LINE, SHORT, LOG = 2000, 100, 16_000
"""Characters of a text; of each when all of them are too much; of a log."""


def fitting(document: Json) -> Json:
    """`document` as the server takes it. What is too long is cut; of too many logs the newest stay."""
    document = _cut(document, LINE)
    for row in document["failures"]:
        if _fits(document):
            break
        row["log"] = ""
    return document if _fits(document) else _cut(document, SHORT) | {"fetched": document["fetched"] | {"layers": []}}


def _fits(document: Json) -> bool:
    envelope = {"report": canonical(document).decode(), "signature": "0" * 128, "key": "0" * 64}
    return len(canonical(envelope)) <= MAX_ENVELOPE


def _cut(value: Any, length: int, name: str = "") -> Any:
    """A log's end, the beginning of anything else, and all plain: signed text in JSON has 7 bytes for a NUL."""
    if isinstance(value, str):
        text = value[-LOG:] if name == "log" else value[:length]
        return "".join(each if each.isprintable() or each in "\n\t" else "?" for each in text)
    if isinstance(value, dict):
        return {key: each if key in WHOLE else _cut(each, length, key) for key, each in value.items()}
    return [_cut(each, length) for each in value[:MAX_ROWS]] if isinstance(value, list | tuple) else value
