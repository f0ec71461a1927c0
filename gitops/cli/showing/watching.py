"""What is shown again and again, until somebody has seen enough: `-w`, `-f`.

In: what draws a frame, or gives the lines that are new. Out: on a terminal, the frame in place of the one before, cut
to the window's height with a word on what is left; in a pipe or a file, each frame that is another one. Rules: Ctrl-C
ends it as everything else (exit code 130); a reader who has gone ends it, too, also while nothing changes.

    watch(lambda: [table(...)], every=2)
"""

import io
import select
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from gitops.cli.showing.words import console

HOME, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Draw it again when it changes, until Ctrl-C.")]
EveryOption = Annotated[float, typer.Option("--every", min=0.2, max=3600, help="Seconds between two looks.")]
EVERY = 2.0


def watch(draw: Callable[[], Sequence[object]], every: float) -> None:
    """Draw until interrupted, or until nobody reads."""
    last = ""
    while True:
        with console.capture() as captured:
            for part in draw():
                console.print(part)
        text = captured.get()
        if sys.stdout.isatty():
            put(_in_place(text))
        elif text != last:
            put(text)
        last = text
        pause(every)


def put(text: str) -> None:
    """Raises BrokenPipeError: nobody reads any more."""
    sys.stdout.write(text)
    sys.stdout.flush()


def pause(seconds: float) -> None:
    """Wait. Raises BrokenPipeError as soon as nobody reads stdout any more."""
    try:
        file = sys.stdout.fileno()
    except (OSError, ValueError, io.UnsupportedOperation):
        time.sleep(seconds)
        return
    poll = select.poll()
    poll.register(file, 0)  # an error or a hang-up is always told
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(left * 1000)):
            raise BrokenPipeError


def _in_place(text: str) -> str:
    lines, height = text.splitlines(), max(shutil.get_terminal_size().lines, 4)
    if len(lines) >= height:
        left = len(lines) - height + 2
        lines = [*lines[: height - 2], f"and {left} lines more: a taller window has them, or ask for fewer boxes"]
    return HOME + "".join(f"{line}{REST_OF_LINE}\n" for line in lines) + REST
