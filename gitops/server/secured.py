"""TLS by files, which are renewed without a restart.

In: a certificate with what leads to its authority, and its key, both PEM. Out: what a listener speaks with. Rules: TLS
1.2 and later; files that changed are taken by the next connections, once they fit together; until then the ones of
before go on, and the log says why.

    tls = Tls(certificate, key)
    if tls.changed():           # every few seconds
        tls.take()
"""

import ssl
from pathlib import Path

import structlog

from gitops.errors import SettingsError

log = structlog.get_logger(__name__)
LOOK = 5.0
"""Seconds between two looks at the files."""


class Tls:
    """Of one listener."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises SettingsError: they cannot be read, or do not fit together."""
        self._files, self._failed = (certificate, key), ""
        self._seen = self._state()
        if why := self._unfit():
            raise SettingsError(f"{certificate}, {key}: {why}", hint="PEM, the key of this certificate; docs/people.md")
        self.context = self._context()

    def changed(self) -> bool:
        """Whether there is something else to be taken, which fits together."""
        state = self._state()
        return state != self._seen and not self._tell(self._unfit())

    def take(self) -> None:
        """For connections from now on; in the thread that makes them."""
        state = self._state()
        try:
            self.context.load_cert_chain(*self._files, password=_none)
        except (OSError, ValueError) as error:  # it changed again in this moment
            self._tell(str(error))
            return
        self._seen = state
        log.info("tls.taken", certificate=str(self._files[0]))

    def _tell(self, why: str) -> str:
        """Once."""
        if why and why != self._failed:
            log.warning("tls.not_taken", certificate=str(self._files[0]), why=why)
        self._failed = why
        return why

    def _unfit(self) -> str:
        try:
            self._context()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            return getattr(error, "strerror", "") or str(error)
        return ""

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files, password=_none)
        return context

    def _state(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for file in self._files:
            try:
                said = file.stat()
                found.append((said.st_mtime_ns, said.st_size, said.st_ino))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)


def _none() -> str:
    """Of a key that is encrypted: nobody is there to be asked."""
    raise ValueError("the key is encrypted, and nobody is there to be asked for its passphrase")
