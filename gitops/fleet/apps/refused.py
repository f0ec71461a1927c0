"""What compose takes, and the Docker engine of a box refuses when the container is made or started.

In: the keys of a service. Out: place within them, what is wrong, and the fix. Rules: only what is refused by any engine
and written out; what a variable says is known at the box. Sources: moby, signal (names of signals); runc,
libcontainer/configs/validate (sysctls that a container has of its own); setrlimit(2).

    [*refused({"sysctls": {"vm.swappiness": 1}})]     # [(("sysctls",), "`vm.swappiness` is ...", "set it ...")]
"""

import re
from collections.abc import Iterator
from typing import Any

from gitops.fleet.documents.yaml import Path
from gitops.model import Json

SIGNALS = re.compile(
    "ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|TRAP|"
    r"TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?"
)
_OWN = re.compile(r"net\..+|fs\.mqueue\..+|kernel\.(domainname|msg(max|mnb|mni)|sem|shm(all|max|mni|_rmid_forced))")
Refused = tuple[Path, str, str]


def refused(keys: Json) -> Iterator[Refused]:
    """Each, in the order of the keys here."""
    signal = keys.get("stop_signal")
    if isinstance(signal, str | int) and "$" not in str(signal) and not _is_signal(str(signal)):
        yield ("stop_signal",), f"Docker knows no signal `{signal}`", "such as SIGTERM"
    limits = keys.get("ulimits")
    for name, limit in limits.items() if isinstance(limits, dict) else ():
        soft, hard = (limit.get("soft"), limit.get("hard")) if isinstance(limit, dict) else (None, None)
        if isinstance(soft, int) and isinstance(hard, int) and hard != -1 and (soft == -1 or soft > hard):
            yield (
                ("ulimits", name),
                f"the soft limit {soft} is above the hard one, {hard}",
                "write `hard` at least so high",
            )
    for name in _sysctls(keys.get("sysctls")):
        if name.startswith("net.") and keys.get("network_mode") == "host":
            hint = "set it for the box: a file in etc/sysctl.d and pkg/sysctl in `onboot`"
            yield ("sysctls",), f"`{name}` would be the box's own with `network_mode: host`, which Docker refuses", hint
        elif not (_OWN.fullmatch(name) or "$" in name):
            hint = "set it for the box: a file in etc/sysctl.d and pkg/sysctl in `onboot`"
            yield ("sysctls",), f"`{name}` is the whole box's: no container has it, and Docker refuses it", hint


def _is_signal(word: str) -> bool:
    name = word.upper().removeprefix("SIG")
    return bool(SIGNALS.fullmatch(name)) or (word.isdecimal() and int(word[:4]) > 0)


def _sysctls(said: Any) -> list[str]:
    """The names; runc takes slashes for dots."""
    names = [*said] if isinstance(said, dict) else said if isinstance(said, list) else []
    return [str(each).partition("=")[0].strip().replace("/", ".")[:80] for each in names]
