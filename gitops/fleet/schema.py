"""What fleet.yaml, roles/NAME.yaml and boxes/NAME.yaml may say: typed models, and their JSON Schemas for editors.

In: a `Document` of `fleet.yaml`. Out: a frozen model, or problems with file, line, column and "did you mean". The three
kinds share an `Overlay`: what fleet says, a role may change, and a box may change again (see `overlay`).

    role = check(document, RoleFile, problems)
"""

import difflib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from gitops.errors import Problem
from gitops.fleet.yaml import MAX_PROBLEMS, Document
from gitops.model import APPS, Sign

NAME = "[a-z0-9][a-z0-9-]{0,62}"
VALUE = "[a-z][a-z0-9_]{0,62}"
GIVEN = ("box", "role", "site")
"""Values that every box has without being told."""
RECIPES = (1,)
"""The assembler recipes that this controller has."""

Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Text = Annotated[str, StringConstraints(max_length=1000)]
Held = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\n]+$")]
Model = TypeVar("Model", bound=BaseModel)


def _branch(name: str) -> str:
    """git-check-ref-format(1), in short."""
    bad = re.search(r'[\x00-\x20~^:?*\[\\\x7f"]|\.\.|@\{|//|^[/.-]|/\.|[/.]$|\.lock(/|$)', name)
    if bad or not name or len(name) > 200:
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
    return inside


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


def _address(text: str) -> str:
    if "/" not in text:
        raise ValueError("an address with its prefix length, such as 192.0.2.10/24, is expected")
    return str(ipaddress.ip_interface(text))


def _ip(text: str) -> str:
    return str(ipaddress.ip_address(text))


class Strict(BaseModel):
    """Nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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
    threshold: int = Field(default=1, ge=1, le=16, description="So many people must have signed a tag on the commit.")
    rules: tuple[SignerRule, ...] = Field(default=(), max_length=64)

    @model_validator(mode="after")
    def _agree(self) -> "SourceRules":
        if self.branch is not None and self.tags is not None:
            raise ValueError("either `branch` or `tags` is expected")
        if self.tags is None and self.sign in (Sign.tag, Sign.both):
            raise ValueError(f"`sign: {self.sign}` goes with `tags`")
        if self.threshold > 1 and self.sign not in (Sign.tag, Sign.both):
            raise ValueError("`threshold` goes with `sign: tag` or `sign: both`")
        if self.rules and self.sign is Sign.none:
            raise ValueError("`rules` need signatures: say `sign: head` or more")
        return self


class RolloutRules(Strict):
    """How many boxes of a role go first, and after how many failures nobody follows."""

    canaries: int = Field(default=1, ge=0, le=1000)
    max_failures: int = Field(default=1, ge=1, le=1000)


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
    symlink: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
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
    files: tuple[File, ...] = Field(default=(), max_length=1000)
    values: dict[Annotated[str, AfterValidator(_value_name)], Text | int] = Field(
        default_factory=dict, max_length=1000, description="By name: what `${NAME}` is in files with `template`."
    )
    services: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="By container name: LinuxKit's keys to replace; null takes a key away."
    )
    remove: tuple[str, ...] = Field(default=(), description="Containers and apps to leave out, by name.")
    suspended: Held | None = Field(default=None, description="`who: why`. Held boxes stay as they are.")
    poll: int | None = Field(default=None, ge=1, le=86400, description="Seconds between two looks at the server.")


class FleetFile(Overlay):
    """fleet.yaml: the whole fleet."""

    source: SourceRules = SourceRules()
    rollout: RolloutRules = RolloutRules()
    recipe: int = Field(default=1, ge=min(RECIPES), le=max(RECIPES), description="Version of the assembler's rules.")


class AppRules(Strict):
    """A compose app, and how its images reach the box: in the release, or from the registry that the settings name."""

    app: Annotated[str, AfterValidator(_path)]
    pull: Literal["staged", "registry"] = "staged"


class RoleFile(Overlay):
    """roles/NAME.yaml: a kind of box."""

    boot: tuple[Annotated[str, AfterValidator(_path)], ...] = Field(min_length=1, max_length=32)
    cmdline: tuple[Annotated[str, AfterValidator(_word)], ...] = Field(default=(), max_length=64)
    compose: tuple[AppRules, ...] = Field(default=(), max_length=32, description="User containers.")


class NetworkRules(Strict):
    """DHCP, or one static address."""

    dhcp: bool | None = None
    interface: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")] = "eth0"
    address: Annotated[str, AfterValidator(_address)] | None = None
    gateway: Annotated[str, AfterValidator(_ip)] | None = None
    dns: tuple[Annotated[str, AfterValidator(_ip)], ...] = Field(default=(), max_length=3)

    @model_validator(mode="after")
    def _one_kind(self) -> "NetworkRules":
        if self.dhcp is (self.address is not None):
            raise ValueError("either `dhcp: true` or an `address` is expected")
        if self.address is None and (self.gateway or self.dns):
            raise ValueError("`gateway` and `dns` go with an `address`")
        if self.address and self.gateway:
            network = ipaddress.ip_interface(self.address).network
            if ipaddress.ip_address(self.gateway) not in network:
                raise ValueError(f"the gateway {self.gateway} is outside of {network}")
        return self


class BoxFile(Overlay):
    """boxes/NAME.yaml: one machine."""

    role: Name
    site: Text = ""
    labels: dict[Name, Text] = Field(default_factory=dict, max_length=64)
    network: NetworkRules = NetworkRules()
    compose: tuple[AppRules, ...] = Field(default=(), max_length=32, description="More apps; of one name, this one.")


KINDS: dict[str, type[BaseModel]] = {"fleet": FleetFile, "role": RoleFile, "box": BoxFile}


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"TowerOS {kind}"}
    return KINDS[kind].model_json_schema() | head


def check(document: Document, model: type[Model], problems: list[Problem]) -> Model | None:
    """The document as a model; None when it has mistakes, which are then in `problems`."""
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        problems.append(document.problem((), "keys and values are expected", "write `key: value` lines"))
        return None
    try:
        return model.model_validate(_tuples(value))
    except ValidationError as error:
        for found in error.errors(include_url=False)[:MAX_PROBLEMS]:
            problems.append(_explain(document, model, found))
        return None


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known name, or all of a few."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(sorted(known)[:20])}" if known else ""


def _tuples(value: Any) -> Any:
    """Lists as tuples: the models are frozen, and strict."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _explain(document: Document, model: type[BaseModel], found: Any) -> Problem:
    location = tuple(part for part in found["loc"] if part != "[key]")
    name, kind = str(location[-1]) if location else "", found["type"]
    if kind == "extra_forbidden":
        hint = _elsewhere(model, location) or did_you_mean(name, _fields(model, location[:-1]))
        return document.problem(location, f"unknown key `{name}`", hint, key=True)
    if kind == "missing":
        return document.problem(location[:-1], f"`{name}` is missing", f"add `{name}:`")
    expected = {"string_pattern_mismatch": f"does not match {found.get('ctx', {}).get('pattern', '')}"}.get(kind)
    message = expected or found["msg"].removeprefix("Value error, ").removeprefix("Input ")
    label = ".".join(str(part) for part in location) or "the file"
    options = (
        [str(option).strip("'") for option in re.findall("'[^']*'", found["msg"])]
        if kind in ("literal_error", "enum")
        else []
    )
    hint = did_you_mean(str(found["input"]), options) if options else ""
    return document.problem(location, f"`{label}`: {message}", hint, key="[key]" in found["loc"])


def _elsewhere(model: type[BaseModel], location: Sequence[str | int]) -> str:
    """A hint for a key that is known, but at another level of this file or in another kind of file."""
    name = str(location[-1])
    for place in _places(model):
        if place[-1] == name:
            where = f"below `{'.'.join(place[:-1])}`" if place[:-1] else "at the top of the file"
            return f"did you mean `{name}` {where}?"
    kinds = {kind: other for kind, other in KINDS.items() if model in KINDS.values() and name in other.model_fields}
    files = {"fleet": "fleet.yaml", "role": "roles/NAME.yaml", "box": "boxes/NAME.yaml"}
    return f"did you mean `{name}` in {' or '.join(files[kind] for kind in kinds)}?" if kinds else ""


def _places(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Every key of a model and of the models in it, the outer ones first."""
    yield from ((info.alias or name,) for name, info in model.model_fields.items())
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        if inner is not None and inner is not model:
            yield from ((info.alias or name, *place) for place in _places(inner))


def _fields(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that are known at a place inside a model."""
    inner: Any = model
    for part in location:
        if isinstance(part, str) and isinstance(inner, type) and issubclass(inner, BaseModel):
            inner = _model_in(inner.model_fields[part].annotation)
    if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
        return []
    return [info.alias or name for name, info in inner.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)
