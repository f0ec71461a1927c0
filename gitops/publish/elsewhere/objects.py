"""A store of objects that speaks S3's API, by obstore.

In: bucket, prefix, address, credentials. Out: objects by our paths, each with its type and how long it may be kept.
Rules: every request has an end, and is tried a few times with growing pauses; what the store says is turned into our
words: its own may hold the id of a key, or an address that lets somebody in.

    place = Objects.of(publish_to)          # an s3:// place of the settings
"""

import configparser
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from gitops.errors import PublishError
from gitops.files.named import named
from gitops.publish.elsewhere.kinds import Kind, kind_of
from gitops.publish.elsewhere.place import TOPS
from gitops.settings.places import S3, PublishTo

T = TypeVar("T")
MAX_CREDENTIALS = 64 << 10
PAGE = 1000
TRIES = 3
CONNECT, REQUEST, ALL_TRIES = (timedelta(seconds=each) for each in (10, 60, 120))
"""For a connection to stand; for one request; for all tries of it."""
PIECE = 5 << 20
"""Bytes that travel at once: a larger file goes in pieces, and appears when the last one came."""
STATUS = re.compile(r"non-2xx status code: ([0-9]{3})")
KIND = re.compile(r"\bkind: (Timeout|Connect)\b")
"""As obstore 0.12 says it; what is said otherwise is told by the name of its error alone."""
SAID = {
    "401": "it refuses us (401)", "403": "it refuses us (403)", "404": "there is no such bucket",
    "Timeout": "it does not answer in time", "Connect": "it cannot be reached",
}  # fmt: skip
WORDS = {"access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key"}
SESSION = "aws_session_token"
HINT = "see docs/publishing.md, S3"


class Objects:
    """Implements `Place`."""

    def __init__(self, name: str, store: Callable[[], S3Store]) -> None:
        self.name, self._opened = name, store

    @classmethod
    def of(cls, said: PublishTo) -> "Objects":
        """An s3:// place. Credentials are read at each use, so that new ones need no restart."""
        bucket, _, prefix = said.to.removeprefix(S3).partition("/")

        def store() -> S3Store:
            return S3Store(
                bucket,
                prefix=prefix or None,
                config={"region": said.region, **({"endpoint": said.endpoint} if said.endpoint else {})}
                | _credentials(said.credentials_file),  # type: ignore[arg-type]
                client_options={
                    "allow_http": said.endpoint.startswith("http://"), "connect_timeout": CONNECT, "timeout": REQUEST,
                },
                retry_config={"max_retries": TRIES, "retry_timeout": ALL_TRIES},
            )  # fmt: skip

        return cls(said.name, store)

    def listed(self) -> dict[str, int]:
        def work(store: S3Store) -> dict[str, int]:
            pages = (page for top in TOPS for page in obstore.list(store, top, chunk_size=PAGE))
            return {each["path"]: each["size"] for page in pages for each in page if kind_of(each["path"])}

        return self._asked(work)

    def put(self, path: str, data: Path | bytes, kind: Kind) -> None:
        attributes = {"Content-Type": kind.type, "Cache-Control": kind.cache}
        self._asked(lambda store: obstore.put(store, path, data, attributes=attributes, chunk_size=PIECE))

    def read(self, path: str, most: int) -> bytes | None:
        def work(store: S3Store) -> bytes | None:
            found = obstore.get(store, path)
            return bytes(found.bytes()) if found.meta["size"] <= most else None

        try:
            return self._asked(work, missing=True)
        except FileNotFoundError:
            return None

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._asked(lambda store: obstore.delete(store, path), missing=True)

    def _asked(self, work: Callable[[S3Store], T], *, missing: bool = False) -> T:
        try:
            return work(self._opened())
        except FileNotFoundError:
            if missing:
                raise
            raise PublishError(f"{self.name}: there is no such bucket, or a file of ours is gone", hint=HINT) from None
        except (PermissionDeniedError, UnauthenticatedError):
            raise PublishError(f"{self.name}: it refuses us (403)", hint=HINT) from None
        # ValueError: what obstore makes of words that it does not take.
        except (BaseError, OSError, ValueError) as error:
            raise PublishError(f"{self.name}: {_words(error)}", hint=HINT) from None


def _words(error: Exception) -> str:
    """What went wrong, without a word of the other side's."""
    text = str(error)
    found = STATUS.search(text) or KIND.search(text)
    return SAID.get(found[1], f"it answers {found[1]}") if found else type(error).__name__


def _credentials(file: Path | None) -> dict[str, str]:
    """Of AWS's own format. Without a file, obstore asks the environment (AWS_*).

    Raises:
        PublishError: the file cannot be read, or has none.
    """
    if file is None:
        return {}
    try:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(named(file, MAX_CREDENTIALS).decode())
        words = parser["default"]
        found = {name: words[word] for name, word in WORDS.items()}
        return found | ({"token": words[SESSION]} if SESSION in words else {})
    # Its lines are secrets: no error of the parser's is shown.
    except (OSError, ValueError, KeyError, configparser.Error):
        hint = "[default] with aws_access_key_id and aws_secret_access_key is expected"
        raise PublishError(f"{file}: no credentials can be read there", hint=hint) from None
