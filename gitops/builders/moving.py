"""A program that may take as long as it moves: it is ended when it neither says nor writes anything for a while.

In: a command, its log, what it writes, how long it may stand still. Out: nothing; its words are in the log. Rules: a
whole time is too short for a slow machine and too long for a program that hangs, so what counts is the last change of
the log or of what is written; whoever stops us stops it.

    run_while_it_moves(["mmdebstrap", ...], log, [out], still=600)
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitops.errors import ProcessError
from gitops.process import start

STEP = 0.2
"""Seconds between two looks."""
TAIL, LINES = 16 << 10, 20
"""Bytes of the log, and of these lines, that an error has."""


def run_while_it_moves(
    command: Sequence[str | Path],
    log: Path,
    writes: Sequence[Path],
    still: float,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end; `still`: seconds without a word and without a byte.

    Raises:
        ProcessError: it is not installed, exits with another code than 0, or stood still (no code).
    """
    log.unlink(missing_ok=True)
    with start(command, log_file=log, env=env) as child:
        before, moved = _sizes(log, writes), time.monotonic()
        while child.running:
            time.sleep(STEP)
            if (now := _sizes(log, writes)) != before:
                before, moved = now, time.monotonic()
            elif time.monotonic() - moved > still:
                child.stop()  # so that mmdebstrap unmounts what it mounted
                child.kill()  # and what it started, and did not end
                said = f"{command[0]} said and wrote nothing for {still:.0f} s and was ended:\n{_last(log)}"
                raise ProcessError(said)
        code = child.code
    if code:
        # Below zero: the signal that killed it.
        raise ProcessError(f"{command[0]} failed ({code}):\n{_last(log)}", code=code if code > 0 else None)


def _sizes(log: Path, writes: Sequence[Path]) -> list[int]:
    return [path.stat().st_size if path.exists() else -1 for path in (log, *writes)]


def _last(log: Path) -> str:
    with log.open("rb") as said:
        said.seek(max(0, log.stat().st_size - TAIL))
        return "\n".join(said.read().decode(errors="replace").strip().splitlines()[-LINES:])
