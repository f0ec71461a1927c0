"""One module per verb: arguments and printing only."""

import os
import sys
from types import TracebackType

INTERRUPTED = 130
"""128 and the signal's number, as shells have it."""


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while modules load, which takes a second: there is nobody yet to say it but this."""
    if issubclass(kind, KeyboardInterrupt):
        os.write(2, b"interrupted\n")
        os._exit(INTERRUPTED)
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _told
