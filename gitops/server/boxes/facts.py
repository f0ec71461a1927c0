"""What operators ask for of a report (`facts`): taken member by member, for a fact costs no report.

In: `facts` as a box says it. Out: what of it is one, bounded; the document that is kept of it. Rules: what is none is
left out, whatever it is; text is printable ASCII; a box cannot say that it is hardly ever heard: `poll` and `every` are
within what Git can ask for.

    facts = sane({"poll": 30, "temperature": "hot"})        # {"poll": 30}
    kept_of(facts)                                          # BoxFacts(30, 600)
"""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gitops.model import Json
from gitops.model.machines.silence import MAX_POLL, MAX_STRETCH, POLL, REPEAT
from gitops.store.notes.reported import BoxFacts

MAX_ADDRESSES = 16
Amount = Annotated[int, Field(ge=0, lt=1 << 60)]


def _interface(text: str) -> str:
    if "%" in text:  # a zone is any text, and of that box alone
        raise ValueError("an address has no zone")
    return str(ipaddress.ip_interface(text))


class Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class UsageIn(Wire):
    used: Amount
    size: Annotated[Amount, Field(gt=0)]


class LinkIn(Wire):
    addresses: Annotated[
        list[Annotated[str, Field(max_length=64), AfterValidator(_interface)]], Field(max_length=4)
    ] = []
    signal: Annotated[int, Field(ge=-150, le=0)] | None = None


Name = Annotated[str, Field(pattern=r"^[ -~]{1,64}$")]
MEMBERS: Mapping[str, TypeAdapter[Any]] = {
    "agent": TypeAdapter(Name),
    "kernel": TypeAdapter(Name),
    "poll": TypeAdapter(Annotated[int, Field(strict=True, ge=1, le=MAX_POLL)]),
    "every": TypeAdapter(Annotated[int, Field(strict=True, ge=1, le=MAX_POLL * MAX_STRETCH)]),
    "proves": TypeAdapter(Annotated[bool, Field(strict=True)]),
    "synchronised": TypeAdapter(Annotated[bool, Field(strict=True)]),
    "temperature": TypeAdapter(Annotated[int, Field(strict=True, ge=-100, le=200)]),
    "memory": TypeAdapter(UsageIn),
    "disks": TypeAdapter(Annotated[dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,16}$")], UsageIn],
                                   Field(max_length=8)]),
    "links": TypeAdapter(Annotated[dict[Annotated[str, Field(pattern=r"^[!-~]{1,15}$")], LinkIn],
                                   Field(max_length=8)]),
}  # fmt: skip
"""Each with what it may be."""


def sane(said: Any) -> Json | None:
    """None: the box says nothing of the kind."""
    if not isinstance(said, dict):
        return None
    found: Json = {}
    for name, kind in MEMBERS.items():
        try:
            if said.get(name) is not None:
                value = kind.validate_python(said[name])
                found[name] = kind.dump_python(value, mode="json", exclude_none=True)
        except ValidationError:
            continue
    return found or None


def kept_of(facts: Json) -> BoxFacts:
    """What is kept of each box, for whoever asks about all of them."""
    links = facts.get("links", {})
    addresses = [address.split("/")[0] for name in sorted(links) for address in links[name]["addresses"]]
    poll = facts.get("poll", POLL)
    return BoxFacts(
        poll,
        facts.get("every", max(poll, REPEAT)),
        facts.get("agent", ""),
        facts.get("kernel", ""),
        tuple(addresses[:MAX_ADDRESSES]),
        facts.get("proves", False),
    )
