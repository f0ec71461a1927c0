"""The process that reads a stick: a device that hangs stops it, and not the agent.

In: the device's node; then one line of JSON for each question. Out: one line of JSON for each answer, and bytes behind
it. Rules: it writes nothing but what it is asked to; what is damaged is an answer; it has a limit of memory, and ends
when the device is gone.

    > {"read": "repo/metadata/timestamp.json", "limit": 16384}
    < {"size": 1234}, and 1234 bytes
    < {"error": "there is no repo/metadata/timestamp.json", "missing": true}
    > {"size": PATH}                    < {"size": N}
    > {"write": PATH, "length": N}, and N bytes      < {"size": 0}
"""

import json
import resource
import sys
from pathlib import Path
from typing import IO, Any

from toweros_agent.media.disk import MediumError
from toweros_agent.media.medium import Medium

MEMORY = 512 << 20
MAX_LINE = 4096
MAX_WRITE = 1 << 20


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    node = Path(sys.argv[-1])
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        medium = Medium.open(node)
    except (MediumError, OSError) as error:
        return _say(answers, _wrong(error))
    _say(answers, {"kind": medium.kind})
    while line := asked.readline(MAX_LINE):
        try:
            _answer(node, medium, json.loads(line), asked, answers)
        except (MediumError, OSError) as error:
            if isinstance(error, MediumError) and error.gone:
                return  # whoever asks hears that nobody is there
            _say(answers, _wrong(error))


def _answer(node: Path, medium: Medium, words: dict[str, Any], asked: IO[bytes], answers: IO[bytes]) -> None:
    if "write" in words:
        data = asked.read(min(words["length"], MAX_WRITE))
        with Medium.open(node, write=True) as again:
            again.write(words["write"], data)
        return _say(answers, {"size": 0})
    if "read" not in words:
        return _say(answers, {"size": medium.size(words["size"])})
    size, pieces = medium.pieces(words["read"])
    if size > words["limit"]:
        raise MediumError(f"{words['read']}: more than {words['limit']} bytes")
    _say(answers, {"size": size})
    try:
        for piece in pieces:
            answers.write(piece)
    except (MediumError, OSError):  # this ends the process: nobody takes an error's words for what is in the file
        sys.exit(1)
    answers.flush()


def _wrong(error: Exception) -> dict[str, Any]:
    missing = isinstance(error, MediumError) and error.missing
    return {"error": str(error)[:500], "missing": missing}


def _say(answers: IO[bytes], words: dict[str, Any]) -> None:
    answers.write(json.dumps(words).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
