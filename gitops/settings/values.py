"""The controller's own settings: flag > `TOWEROS_*` > toweros.toml > default.

In: `toweros.toml` (found by `--config`, `TOWEROS_CONFIG`, the working folder, then `/etc/toweros/`), the environment.
Out: one frozen `Settings`. Unknown keys are mistakes. Paths are relative to the file that names them.

    state = "/var/lib/toweros"
    repository = "ssh://git@git.example/fleet.git"
    keys = "/etc/toweros/keys"
    server = "http://updates.example:8080"
"""

import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from gitops.settings.deltas import Deltas
from gitops.settings.people import Oidc
from gitops.settings.places import PublishTo
from gitops.settings.receivers import Receiver


def is_loopback(listen: str) -> bool:
    """Whether ADDRESS:PORT is reached from this machine alone."""
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Feed(BaseModel):
    """Where advisories come from. `place`: an URL, or a file or folder of one's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,40}$")
    place: str = Field(min_length=1, pattern=r"^(https?://[^\s@]+|[^:]+)$")
    every: int = Field(default=3600, ge=60)
    """Seconds between two looks."""
    stale_days: int = Field(default=4, ge=1, le=3660)
    """Days after which what it said counts as not known any more."""


class Settings(BaseModel):
    """Every setting, with its unit and default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    state: Path = Path("/var/lib/toweros")
    """Where blobs, layers, the database (if it is SQLite) and the bare clone live."""
    database: str = Field(default="", pattern=r"^(postgresql://\S+)?$", repr=False)
    database_file: Path | None = None
    """postgresql://USER:PASSWORD@HOST[:PORT]/NAME, or a file that holds it. Empty: SQLite, in `state`."""
    repository: str = Field(default="", repr=False)
    """The fleet repo: a path, or an ssh:// or https:// URL."""
    keys: Path = Path("/etc/toweros/keys")
    """The folder that `toweros keys init` made."""
    server: str = "http://127.0.0.1:8080"
    """How the boxes reach the update server; written into every box's addon."""
    listen: str = "127.0.0.1:8080"
    """Where the update server listens for boxes: ADDRESS:PORT."""
    people_listen: str = "127.0.0.1:8081"
    """Where it listens for people; the same as `listen`: for both there, on loopback alone; empty: nowhere."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    people_tls_cert: Path | None = None
    people_tls_key: Path | None = None
    """Certificate (with what leads to its authority) and key of each listener, PEM. Read again when they change."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    oidc: Oidc | None = None
    """Where people log in who have no local account."""
    allowed_signers: Path | None = None
    """OpenSSH allowed_signers: whose signature counts before the fleet repo brings keys of its own."""
    openpgp_keys: Path | None = None
    """A folder of OpenPGP public keys, NAME.asc each: like `allowed_signers`."""
    ssh_key: Path | None = None
    ssh_known_hosts: Path | None = None
    git_token_file: Path | None = None
    """For https:// remotes: the file that holds the token. Read at each use."""
    record_push: bool = True
    """Send the record of deployments to the remote, where it takes it."""
    poll: int = Field(default=30, ge=1)
    """Seconds between two looks at the Git remote."""
    epoch: int = Field(default=0, ge=0, lt=1 << 31)
    """Added to every sequence: raise it when the fleet repo is replaced by a younger one."""
    forge: str = Field(default="", pattern="^(github|gitlab|gitea|forgejo)?$")
    """Where pull requests are: plans and the rollout are said there. Empty: nowhere."""
    forge_url: str = Field(default="", pattern=r"^((https://|http://127\.0\.0\.1[:/])[^\s@]+)?$")
    """The forge's API; empty: that of github.com or gitlab.com."""
    forge_repository: str = Field(default="", pattern="^([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){1,20})?$")
    """OWNER/NAME on the forge; GROUP/SUBGROUP/NAME on a GitLab."""
    forge_token_file: Path | None = None
    """The file that holds the forge's token; without it, TOWEROS_FORGE_TOKEN in the environment. Read at each use."""
    hook_secret_file: Path | None = None
    """The file that holds the secret by which forges prove that they wake us (/hooks/FORGE). Read at each use."""
    link: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """How people reach the status page: the link of every status on the forge."""
    builder: str = Field(default="buildah", pattern="^(buildah|docker)$")
    rootfs_still: int = Field(default=600, ge=10, le=86_400)
    """Seconds that mmdebstrap may say and write nothing, before it is ended."""
    docker_host: str = Field(default="unix:///var/run/docker.sock", pattern="^(unix|tcp|ssh)://")
    """Where the Docker engine is that builds, if `builder` is `docker`."""
    registry: str = Field(default="", pattern=r"^([a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?)?$")
    """HOST[:PORT][/PREFIX] from which images of user containers come, to us and (`pull: registry`) to the boxes."""
    registry_auth: Path | None = None
    """A file with `auths`, as `docker login` writes it. Read at each use."""
    snapshot: tuple[str, ...] = ()
    """Archives of what mirrors dropped: URLs that hold a locked file at its path, or templates ({path}, {sha256})."""
    inputs: tuple[str, ...] = ()
    """Mirrors of one's own, which `toweros inputs export` fills: folders or URLs that hold `sha256/HEX`."""
    fetch: str = Field(default="open", pattern="^(open|boxes)$")
    """Who may fetch what releases are made of: whoever reaches the update server, or boxes alone, by their keys."""
    nocs: tuple[Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,62}=[0-9a-f]{64}$")], ...] = ()
    """Sites' own servers whose contact is shown: NAME=KEY each, as `toweros noc` prints it."""
    feeds: tuple[Feed, ...] = ()
    """Where advisories come from: Debian's security tracker, OSV, or folders of either."""
    receivers: tuple[Receiver, ...] = ()
    """Who can be told of what happens, by the names that `notify:` of the fleet repo uses."""
    publish: tuple[PublishTo, ...] = ()
    """Where else what boxes fetch is published: folders, S3-compatible stores, OCI registries."""
    deltas: Deltas | None = None
    """What deltas may cost that are made while nobody waits; None: as `Deltas` has it."""
    platform: str = Field(default="linux/amd64", pattern="^linux/amd64$")
    grace: int = Field(default=7 * 24 * 3600, ge=0)
    """Seconds that an unreferenced blob stays: longer than the slowest box's download."""

    @field_validator("snapshot", "inputs", "nocs", "proxies", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        """One, or several between blanks, as an environment variable has them."""
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("feeds", "receivers", "oidc", "publish", "deltas", mode="before")
    @classmethod
    def _list(cls, value: Any, info: ValidationInfo) -> Any:
        """JSON, as an environment variable has it."""
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(f"{info.field_name} is expected as JSON") from None

    @field_validator("proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(f"{each[:100]} is no address and no network such as 10.0.0.0/8") from None
        return value

    @model_validator(mode="after")
    def _listeners(self) -> "Settings":
        for cert, key, what in (
            (self.tls_cert, self.tls_key, "tls"),
            (self.people_tls_cert, self.people_tls_key, "people_tls"),
        ):
            if bool(cert) != bool(key):
                raise ValueError(f"{what}_cert and {what}_key belong together")
        if self.people_listen == self.listen and not is_loopback(self.listen):
            raise ValueError(f"boxes and people share {self.listen}: only an address of the loopback may be both")
        if self.oidc and not self.link:
            raise ValueError("oidc needs `link`: where the provider sends people back to")
        return self

    @field_validator("feeds", "receivers", "publish")
    @classmethod
    def _names(cls, value: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if len({each.name for each in value}) != len(value):
            raise ValueError(f"two {info.field_name} have one name")
        return value

    @field_validator("server", "link", "snapshot", "inputs")
    @classmethod
    def _nameless(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        """What boxes, people or a log are shown has no password in it; nor is one sent that stands in an address."""
        for each in (value,) if isinstance(value, str) else value:
            if "@" in each.partition("://")[2].partition("/")[0]:
                raise ValueError("no user and no password go into this address")
        return value

    @model_validator(mode="after")
    def _apart(self) -> "Settings":
        """What is published is a copy: what is too old goes from it, and must not go from the store."""
        state = self.state.absolute()
        for each in self.publish:
            to = Path(each.to)
            if each.to.startswith("/") and (to.is_relative_to(state) or state.is_relative_to(to)):
                raise ValueError(f"publish: {each.name}: a folder apart from `state` is expected, not {each.to}")
        return self

    @field_validator("snapshot")
    @classmethod
    def _urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(each.startswith(("http://", "https://")) for each in value):
            raise ValueError("a snapshot archive is an http:// or https:// URL")
        return value
