"""Where people log in who have no local account: an OpenID Connect provider.

[oidc]
issuer = "https://id.example/realms/towers"
client_id = "toweros"
client_secret_file = "/etc/toweros/oidc.secret"
[[oidc.grants]]
group = "noc-north"
role = "operator"
site = "north"              # without it: everywhere
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

CLAIM = r"^[A-Za-z0-9_.:/-]{1,100}$"


class GroupGrant(BaseModel):
    """What members of a group of the provider may do."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    group: str = Field(min_length=1, max_length=200)
    role: Literal["viewer", "operator", "admin"]
    site: str = Field(default="*", min_length=1, max_length=200)


class Oidc(BaseModel):
    """The provider. `groups`: the claim with somebody's groups; `name`: the one with the name that pages and the log
    show: one that people cannot choose themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(max_length=500, pattern=r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])[^\s@?#]+$")
    client_id: str = Field(min_length=1, max_length=200)
    client_secret_file: Path | None = None
    """Read at each use; without it the client is public, and PKCE alone proves it."""
    ca: Path | None = None
    """Authorities that vouch for the provider's certificate, in place of the system's."""
    name: str = Field(default="preferred_username", pattern=CLAIM)
    groups: str = Field(default="groups", pattern=CLAIM)
    scopes: Annotated[tuple[str, ...], Field(max_length=20)] = ("openid", "profile")
    grants: Annotated[tuple[GroupGrant, ...], Field(max_length=500)] = ()

    @property
    def called(self) -> str:
        """How people know it."""
        return self.issuer.partition("://")[2].partition("/")[0]

    @field_validator("client_secret_file", "ca")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        if value and not value.is_absolute():
            raise ValueError(f"{value}: it is named by an absolute path")
        return value

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value or any(not each.isascii() or " " in each or not each for each in value):
            raise ValueError("scopes are words, one of them openid")
        return value
