"""Whatever a box has to say, the server takes it."""

import pytest
from toweros_agent.nouns import Json, canonical
from toweros_agent.outgoing.fitting import LOG, MAX_ENVELOPE, fitting

from gitops.server.boxes.reports import MAX_BODY
from tests.kit.contracts import good, problems


def full(text: str, layers: int = 0) -> Json:
    """A report whose every text is `text`."""
    failure = {"sequence": 1, "release": "1" * 64, "verdict": "failed", "reason": text, "time": 1}
    return good(
        "report",
        "idle",
        error=text,
        degraded=[text] * 200,
        checks=[{"name": text, "ok": False, "message": text, "restarts": 0}] * 200,
        failures=[failure | {"time": number, "log": f"{text}{number}"} for number in range(8)],
        resets=[{"sequence": 1, "time": 1, "doing": text}] * 8,
        retried=["\N{SNOWMAN}" * 200] * 128,
        fetched={"layers": ["1" * 64] * layers, "bytes": 1, "deltas": 0, "repaired": 0},
    )


def size(document: Json) -> int:
    return len(canonical({"report": canonical(document).decode(), "signature": "0" * 128}))


@pytest.mark.parametrize("each", ["\0", "\x1b", '"', "\\", "\n", "\ud800", "\N{FACE WITH TEARS OF JOY}"])
def test_the_worst_report_is_taken(each: str) -> None:
    fitted = fitting(full(each * 70_000, layers=4096))
    assert size(fitted) <= MAX_BODY == MAX_ENVELOPE
    assert problems("report", fitted) == []
    assert fitted["retried"] == full("")["retried"], "those count by their very words"


def test_of_too_many_logs_the_newest_stay_and_of_each_its_end() -> None:
    document = full("") | {"degraded": [], "checks": []}
    rows = [each | {"log": '"' * LOG + str(number)} for number, each in enumerate(document["failures"])]
    kept = [each["log"] for each in fitting(document | {"failures": rows})["failures"]]
    assert [bool(log) for log in kept] == [False] * 6 + [True] * 2
    assert kept[-1].endswith('"7') and len(kept[-1]) == LOG


def test_what_fits_is_told_as_it_is() -> None:
    document = good("report", "went-back")
    assert fitting(document) == document
