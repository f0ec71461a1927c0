"""Limits that no cgroup of version 2 takes: `resources:` of a container. Pure.

In: `resources` as LinuxKit's YAML has them. Out: the key, what is wrong, and the fix. Source: runc 1.1
(libcontainer/cgroups/fs2, cgroups/utils.go) and the kernel's cgroup-v2.rst; numbers that only a machine's hardware
refuses (processors that it has not) are not judged.

    [*limited({"cpu": {"shares": 1}})]       # [("resources", "cpu.shares: 1 is not between 2 and 262144", "..")]
"""

import re
from collections.abc import Iterator

from gitops.model import Json

Refused = tuple[str, str, str]
BETWEEN = {
    ("cpu", "shares"): (2, 262144),
    ("cpu", "quota"): (1000, 2**63 - 1),
    ("cpu", "period"): (1000, 1_000_000),
    ("memory", "limit"): (1 << 20, 2**63 - 1),
    ("memory", "reservation"): (0, 2**63 - 1),
    ("memory", "swap"): (0, 2**63 - 1),
    ("pids", "limit"): (0, 2**31 - 1),
    ("blockIO", "weight"): (10, 1000),
}
"""What is said of it must lie in between: in bytes, microseconds, processes."""
UNBOUNDED = {("cpu", "quota"), ("memory", "limit"), ("memory", "reservation"), ("memory", "swap"), ("pids", "limit")}
"""Where -1 is no limit."""
NOTHING = UNBOUNDED | {("cpu", "shares"), ("cpu", "period"), ("blockIO", "weight")}
"""Where 0 says nothing."""
IDLE = {
    **dict.fromkeys((("memory", key) for key in ("kernel", "kernelTCP")), "take it out: `limit` counts it too"),
    **dict.fromkeys(
        (("memory", key) for key in ("swappiness", "disableOOMKiller")), "take it out, or say `oomScoreAdj`"
    ),
    ("cpu", "idle"): 'write `unified: {cpu.idle: "1"}`',
    ("cpu", "burst"): 'write `unified: {cpu.max.burst: "MICROSECONDS"}`',
    **dict.fromkeys((("cpu", key) for key in ("realtimeRuntime", "realtimePeriod")), "take it out"),
    ("blockIO", "leafWeight"): "write `weight`",
    **dict.fromkeys((("network", key) for key in ("classID", "priorities")), "mark packets by nftables"),
}
"""What runc (1.1) passes over in silence, as no cgroup of version 2 has it or runc does not know it; a way."""
PAGES = ("2MB", "1GB")
"""Sizes of large pages on amd64."""
_SET = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")


def limited(resources: Json) -> Iterator[Refused]:
    """All that is wrong; the key is `resources`."""
    for message, hint in _wrong(resources):
        yield "resources", message, hint


def _wrong(resources: Json) -> Iterator[tuple[str, str]]:
    for (group, key), (low, high) in BETWEEN.items():
        value = (resources.get(group) or {}).get(key)
        said = {-1} & ({value} if (group, key) in UNBOUNDED else set()) or (value == 0 and (group, key) in NOTHING)
        if value is not None and not said and not low <= value <= high:
            hint = "write one that does" + (", or -1 for none" * ((group, key) in UNBOUNDED))
            yield f"{group}.{key}: {value} does not lie between {low} and {high}", hint
    for (group, key), hint in IDLE.items():
        value = (resources.get(group) or {}).get(key)
        if value not in (None, 0, False, (), []):
            yield f"{group}.{key}: no box carries it out", hint
    yield from _swap(resources.get("memory") or {})
    yield from _words(resources)


def _words(resources: Json) -> Iterator[tuple[str, str]]:
    for key in ("cpus", "mems"):
        if (text := (resources.get("cpu") or {}).get(key)) and not _SET.fullmatch(text):
            yield f"cpu.{key}: `{text[:40]}` is no list of numbers", "write 0-3,5"
    for rule in resources.get("devices") or ():
        if set(rule.get("access") or "") - set("rwm"):
            yield f"devices: `{rule['access'][:40]}` is no access", "write r, w and m"
    for page in resources.get("hugepageLimits") or ():
        if page["pageSize"] not in PAGES:
            yield f"hugepageLimits: there are no pages of `{page['pageSize'][:40]}`", f"write {' or '.join(PAGES)}"
    for name in resources.get("unified") or {}:
        if "/" in name or not re.fullmatch(r"[a-z0-9_]+\.[A-Za-z0-9_.-]+", name):
            yield f"unified: `{name[:80]}` is no file of a cgroup", "write CONTROLLER.FILE, such as memory.high"


def _swap(memory: Json) -> Iterator[tuple[str, str]]:
    """It is memory and swap together."""
    swap, limit = memory.get("swap") or 0, memory.get("limit") or 0
    if swap > 0 and limit <= 0:
        yield "memory.swap: there is no `limit` of memory that it is counted from", "say `limit`, too"
    elif 0 < swap < limit:
        yield f"memory.swap: {swap} is memory and swap together, and `limit` alone is {limit}", "write a larger one"
