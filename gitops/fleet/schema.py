"""What fleet.yaml, roles/NAME.yaml and boxes/NAME.yaml may say: typed models, and their JSON Schemas for editors.

Rules: the three kinds share an `Overlay`: what fleet says, a role may change, and a box may change again (see
`overlay`). Plain keys, whose values reach the box unchanged, are declared on `gitops.model.Box` and join the files of
their levels here; keys with rules of their own are below.

    role = check(document, RoleFile, problems)      # `explain`
    role.boot, role.members()                       # -> ("boot/a.yml",), {"poll": 60}
"""

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, create_model, model_validator

from gitops.fleet.documents.names import checked_path, unseen
from gitops.fleet.documents.strict import Strict
from gitops.fleet.levels.hardware import HardwareRules
from gitops.fleet.network.rules import NetworkRules
from gitops.fleet.notifying.rules import NotifySection
from gitops.fleet.rollout.rules import RolloutRules
from gitops.fleet.security import SecurityRules
from gitops.model import APPS, KEYS, Box, Json, Level, Sign

NAME = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""Of a box it is the host name, which ends with no `-` (RFC 1123, 2.1)."""
VALUE = "[a-z][a-z0-9_]{0,62}"
GIVEN = ("box", "role", "site")
"""Values that every box has without being told."""
RECIPES = (1, 2)
"""The assembler recipes that this controller has."""

Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Text = Annotated[str, StringConstraints(max_length=1000)]
Model = TypeVar("Model", bound=BaseModel)


def _branch(name: str) -> str:
    """git-check-ref-format(1), in short."""
    bad = re.search(r'[\x00-\x20~^:?*\[\\\x7f"]|\.\.|@\{|//|^[/.-]|/\.|[/.]$|\.lock(/|$)', name)
    if bad or not name or len(name) > 200 or unseen(name)[1]:
        raise ValueError("no name that a branch can have")
    return name


def _word(word: str) -> str:
    if not re.fullmatch(r"[!-~]{1,200}", word) or '"' in word:
        raise ValueError("one kernel argument without spaces or quotes is expected")
    if word.startswith("toweros."):
        raise ValueError("arguments that begin with `toweros.` belong to the signed addon")
    return word


def _path(path: str) -> str:
    inside = path.strip("/")
    if {"", ".", ".."} & set(inside.split("/")):
        raise ValueError("a path without `.`, `..` and empty parts is expected")
    return checked_path(inside)


def not_an_app(path: str, directory: bool | None) -> None:
    """Raises ValueError for an entry of `files:` that would start user containers which nobody checked."""
    if path.startswith(f"{APPS}/") or (path == APPS and not directory):
        raise ValueError(f"what is in /{APPS} comes from apps: put it into a folder that `compose:` names")


def _value_name(name: str) -> str:
    if not re.fullmatch(VALUE, name):
        raise ValueError("lower-case letters, digits and `_` are expected")
    if name in GIVEN:
        raise ValueError("this value is given by TowerOS")
    return name


def _mode(mode: str) -> str:
    if not re.fullmatch("[0-7]{3,5}", mode):
        raise ValueError('an octal mode such as "0644" is expected')
    return mode


def _is_trust(path: str) -> bool:
    return path == "fleet.yaml" or path.split("/", maxsplit=1)[0] == "keys"


class SignerRule(Strict):
    """A change below one of `paths` needs the signature of one of `signers`."""

    paths: tuple[Annotated[str, AfterValidator(_path)], ...] = Field(min_length=1, max_length=64)
    signers: tuple[Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")], ...] = Field(
        min_length=1, max_length=64
    )


class SourceRules(Strict):
    """Where commits come from, and who must have signed them."""

    branch: Annotated[str, AfterValidator(_branch)] | None = Field(default=None, description="The default is main.")
    tags: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/*?-]{1,100}$")] | None = Field(
        default=None, description="A pattern of release tags, such as v*, instead of a branch."
    )
    sign: Annotated[Sign, Field(strict=False)] = Sign.none
    threshold: int = Field(default=1, ge=1, le=16, description="So many people must have signed what deploys.")
    rules: tuple[SignerRule, ...] = Field(default=(), max_length=64)
    limits: tuple[SignerRule, ...] = Field(
        default=(), max_length=16, description="What these signers sign counts only if no other file changes."
    )

    @model_validator(mode="after")
    def _agree(self) -> "SourceRules":
        if self.branch is not None and self.tags is not None:
            raise ValueError("either `branch` or `tags` is expected")
        if self.tags is None and self.sign in (Sign.tag, Sign.both):
            raise ValueError(f"`sign: {self.sign}` goes with `tags`")
        if self.threshold > 1 and self.sign in (Sign.none, Sign.head):
            raise ValueError("`threshold` goes with `sign: tag`, `both` or `every-commit`")
        if self.rules and self.sign is Sign.none:
            raise ValueError("`rules` need signatures: say `sign: head` or more")
        if any(_is_trust(path) for limit in self.limits for path in limit.paths):
            raise ValueError("`limits` cannot give away keys/ or fleet.yaml: whoever changes them can do anything")
        return self


class Check(Strict):
    """A health check: `http` GETs a URL; `service` and `container` (a user container) want it running."""

    name: Name
    http: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=500)] | None = None
    status: int = Field(default=200, ge=100, le=599)
    contains: Text = ""
    service: Text | None = None
    container: Text | None = None
    timeout: int = Field(default=10, ge=1, le=20, description="Seconds; the watchdog waits no longer.")

    @model_validator(mode="after")
    def _one_kind(self) -> "Check":
        if [self.http, self.service, self.container].count(None) != 2:
            raise ValueError("exactly one of `http`, `service` and `container` is expected")
        if self.http is None and self.model_fields_set & {"status", "contains"}:
            raise ValueError("`status` and `contains` go with `http`")
        return self


class HealthRules(Strict):
    """What must hold, and for how long, before a release is kept. Checks of one name: the nearer one counts."""

    probation: int | None = Field(default=None, ge=1, le=86400, description="Seconds. The default is 120.")
    checks: tuple[Check, ...] = Field(default=(), max_length=64)
    remove: tuple[Name, ...] = ()


class File(Strict):
    """An entry of LinuxKit's `files:`; `source` is a path in the fleet repo; with `template`, `${NAME}` is a value."""

    path: Annotated[str, AfterValidator(_path)]
    contents: str | None = None
    source: Annotated[str, AfterValidator(_path)] | None = None
    mode: Annotated[str, AfterValidator(_mode)] | None = None
    template: Literal[True] | None = Field(default=None, description="${NAME} in it is one of the box's values.")
    directory: Literal[True] | None = None
    symlink: Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(checked_path)] | None = (
        None
    )
    uid: int | None = Field(default=None, ge=0, lt=2**32)
    gid: int | None = Field(default=None, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _one_kind(self) -> "File":
        kinds = (self.contents is not None, self.source is not None, self.directory is True, self.symlink is not None)
        if sum(kinds) != 1:
            raise ValueError("exactly one of `contents`, `source`, `directory` and `symlink` is expected")
        not_an_app(self.path, self.directory)
        if self.template and self.contents is None and self.source is None:
            raise ValueError("`template` goes with `contents` or `source`")
        return self


class Overlay(Strict):
    """What may be said at each level; a box outranks its role, and a role the fleet."""

    health: HealthRules = HealthRules()
    network: NetworkRules = NetworkRules()
    files: tuple[File, ...] = Field(default=(), max_length=1000)
    values: dict[Annotated[str, AfterValidator(_value_name)], Text | int] = Field(
        default_factory=dict, max_length=1000, description="By name: what `${NAME}` is in files with `template`."
    )
    services: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="By container name: LinuxKit's keys to replace; null takes a key away."
    )
    remove: tuple[str, ...] = Field(default=(), description="Containers and apps to leave out, by name.")

    def members(self) -> dict[str, Any]:
        """The plain keys that this file gives a value: members of a `Box`, by name."""
        values = {name: getattr(self, name, None) for name, key in KEYS.items() if key.levels}
        return {name: value for name, value in values.items() if value is not None}


def _with_members(level: Level) -> Callable[[type[Model]], type[Model]]:
    """Adds the plain keys of this level; null is the same as an absent key."""
    members: dict[str, Any] = {}
    for member in fields(Box):
        key, values = KEYS.get(member.name), cast(Any, member.type)
        if key and level in key.levels:
            members[member.name] = (values | None, Field(default=None, description=key.help))

    def add(model: type[Model]) -> type[Model]:
        return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **members)

    return add


class ImageRules(Strict):
    """Images that are named by a tag (images.lock)."""

    unsigned: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-zA-Z0-9.:_/*?-]{0,200}$")], ...] = Field(
        default=(), max_length=200, description="Globs of names: no key in keys/cosign/ need have signed these."
    )


@_with_members(Level.fleet)
class FleetFile(Overlay):
    """fleet.yaml: the whole fleet."""

    source: SourceRules = SourceRules()
    rollout: RolloutRules = RolloutRules()
    security: SecurityRules | None = Field(default=None, description="Updates that are looked for by themselves.")
    images: ImageRules = ImageRules()
    notify: NotifySection = ()
    recipe: int = Field(default=1, ge=min(RECIPES), le=max(RECIPES), description="Version of the assembler's rules.")


class AppRules(Strict):
    """A compose app, and how its images reach the box: in the release, or from the registry that the settings name."""

    app: Annotated[str, AfterValidator(_path)]
    pull: Literal["staged", "registry"] = "staged"
    unwatched: tuple[str, ...] = Field(
        default=(), max_length=256, description="Services that no health check is made for: they may end, or never run."
    )


@_with_members(Level.role)
class RoleFile(Overlay):
    """roles/NAME.yaml: a kind of box."""

    STAND_IN: ClassVar[Json] = {"boot": ["boot"]}
    """In the place of a key that must be there, where it has mistakes."""

    boot: tuple[Annotated[str, AfterValidator(_path)], ...] = Field(min_length=1, max_length=32)
    cmdline: tuple[Annotated[str, AfterValidator(_word)], ...] = Field(default=(), max_length=64)
    compose: tuple[AppRules, ...] = Field(default=(), max_length=32, description="User containers.")


@_with_members(Level.box)
class BoxFile(Overlay):
    """boxes/NAME.yaml: one machine."""

    STAND_IN: ClassVar[Json] = {"role": "role"}

    role: Name
    labels: dict[Name, Text] = Field(default_factory=dict, max_length=64)
    hardware: HardwareRules | None = None
    compose: tuple[AppRules, ...] = Field(default=(), max_length=32, description="More apps; of one name, this one.")


KINDS: dict[Level, type[Overlay]] = {Level.fleet: FleetFile, Level.role: RoleFile, Level.box: BoxFile}


def json_schema(kind: Level) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"TowerOS {kind}"}
    return KINDS[kind].model_json_schema() | head
