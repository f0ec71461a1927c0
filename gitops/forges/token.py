"""The forge's token: read anew for each call, so that a renewed one counts at once and none stays in memory.

read = reader(settings)
read()      # raises ForgeError when there is none
"""

import os
from collections.abc import Callable
from pathlib import Path

from gitops.errors import ForgeError
from gitops.settings import PREFIX, Settings

TOKEN = PREFIX + "FORGE_TOKEN"
MAX_BYTES = 4096
"""Of a token's file."""
PAUSE = 60.0
"""Seconds until it is looked for again."""


def reader(settings: Settings) -> Callable[[], str]:
    """Reads the token out of the file that the settings name, else out of the environment."""

    def read() -> str:
        file = settings.forge_token_file
        token = (_read(file) if file else os.environ.get(TOKEN, "")).strip()
        if not token or any(not "!" <= letter <= "~" for letter in token):
            hint = f"set `forge_token_file` or {TOKEN}"
            raise ForgeError("there is no token for the forge", hint=hint, wait=PAUSE)
        return token

    return read


def _read(file: Path) -> str:
    try:
        return file.read_bytes()[:MAX_BYTES].decode("ascii")
    except (OSError, UnicodeDecodeError):  # its text would be in the error's chain
        raise ForgeError(f"{file}: no token can be read there", hint="see docs/review.md", wait=PAUSE) from None
