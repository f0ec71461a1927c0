"""The passphrase of root keys: a file, or a prompt."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.errors import SettingsError
from gitops.files.named import named

MAX_PASSPHRASE = 4096
"""Bytes."""
PassphraseOption = Annotated[Path | None, typer.Option("--passphrase-file", help="Holds the root keys' passphrase.")]


def passphrase(file: Path | None, *, new: bool) -> bytes:
    if file is None:
        text: str = typer.prompt("Passphrase of the root keys", hide_input=True, confirmation_prompt=new, err=True)
        return text.encode()
    try:
        return named(file, MAX_PASSPHRASE).rstrip(b"\r\n")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
