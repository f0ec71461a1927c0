"""How a verb that runs until it is told to stop is told."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """The first signal ends the work where it is, with what it started; SIGTERM is how we are meant to end: code 0."""

    def end(number: int, _frame: object) -> None:
        for other in (signal.SIGTERM, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with suppress(Terminated):
        yield


class Terminated(BaseException):
    """SIGTERM came."""
