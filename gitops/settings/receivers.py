"""Who can be told of what happens: webhooks, chats, mail. Addresses that are secrets, and passwords, are in files.

[[receivers]]
name = "hook"
kind = "webhook"                        # or "slack"
url = "https://alerts.example/toweros"  # or url_file, where it is a secret itself
secret_file = "/etc/toweros/hook.secret"
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Mail = Annotated[str, Field(max_length=254, pattern=r"^[^\s<>@,;]+@[A-Za-z0-9.-]+$")]
NEEDED = {
    "webhook": ("secret_file",),
    "slack": (),
    "matrix": ("token_file", "room"),
    "email": ("smtp", "sender", "recipients"),
}
"""What each kind cannot do without, beside a URL."""


class Receiver(BaseModel):
    """One of them. A file is read at each use."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$")
    kind: Literal["webhook", "slack", "matrix", "email"]
    url: str = Field(default="", pattern=r"^(https?://[^\s@]+)?$", repr=False)
    url_file: Path | None = None
    secret_file: Path | None = None
    """Of a webhook: the key of its HMAC."""
    token_file: Path | None = None
    room: str = Field(default="", pattern=r"^(![^\s/]+)?$")
    smtp: str = Field(default="", pattern=r"^([A-Za-z0-9.:\[\]-]+:[0-9]{1,5})?$")
    """HOST:PORT."""
    starttls: bool = True
    """Without it, mail and password would be read by whoever is on the way: for a server on this machine alone."""
    ca: Path | None = None
    """Authorities that vouch for it, in place of the system's."""
    user: str = Field(default="", max_length=200)
    password_file: Path | None = None
    sender: Mail | None = None
    recipients: Annotated[tuple[Mail, ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _whole(self) -> "Receiver":
        lacks = [each for each in NEEDED[self.kind] if not getattr(self, each)]
        if self.kind != "email" and not (self.url or self.url_file):
            lacks = ["url or url_file", *lacks]
        if lacks:
            raise ValueError(f"a receiver of the kind {self.kind} needs {', '.join(lacks)}")
        files = (self.url_file, self.secret_file, self.token_file, self.ca, self.password_file)
        if odd := next((each for each in files if each and not each.is_absolute()), None):
            raise ValueError(f"{odd}: the file of a receiver is named by an absolute path")
        if self.user and not self.password_file:
            raise ValueError("a user needs a password_file")
        return self
