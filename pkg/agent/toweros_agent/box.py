"""`toweros-box status|log|history`: what the operator sees on the console, from the same files that the agent keeps."""

import sys
import time

from toweros_agent.firmware.chosen import esp_of
from toweros_agent.host.boot import Boot
from toweros_agent.host.disk import Disk, last_lines
from toweros_agent.host.memory import Memory
from toweros_agent.joining.name import is_new, named
from toweros_agent.nouns import Release
from toweros_agent.outgoing.identity import ON_ESP, fingerprint, public_of, read
from toweros_agent.settings import Places

USAGE = "usage: toweros-box status|log|history\n"


def status(places: Places) -> str:
    boot = Boot.parse((places.run / "boot.json").read_bytes())
    release = Release.parse((places.run / "release.json").read_bytes())
    name = named(boot, places.run / "disk" / "identity", places.run / "key").box
    lines = [
        f"box       {name}",
        f"release   {boot.sequence} (sha256:{boot.release})",
        f"content   sha256:{release.content}",
        f"trial     {'yes' if boot.trial else 'no'}",
        f"server    {boot.server}",
        f"key       {_key(places)}",
        *([f"code      {_key(places)[:24]}"] if is_new(name) else []),
        *(f"entry     {entry.name}" for entry in esp_of(places).entries()),
    ]
    return "\n".join(lines) + "\n"


def _key(places: Places) -> str:
    """What `toweros box enroll` asks for."""
    found = [read(path) for path in (places.run / "disk" / "identity" / "box.key", places.run / "esp" / ON_ESP)]
    return next((fingerprint(public_of(each[0])) for each in found if isinstance(each, tuple)), "none")


def log(places: Places) -> str:
    boot = Boot.parse((places.run / "boot.json").read_bytes())
    return last_lines(places.run / "disk" / "state" / f"boot-{boot.sequence}.log") + "\n"


def history(places: Places) -> str:
    memory, _ = Memory.load(Disk(places.run / "disk"))
    if not memory.failures:
        return "No release failed on this box.\n"
    lines = []
    for each in memory.failures:
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(each.time))
        lines.append(f"{when}  {each.sequence}  {each.verdict}: {each.reason}\n")
    return "".join(lines)


COMMANDS = {"status": status, "log": log, "history": history}


def main() -> None:
    command = COMMANDS.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if command is None:
        sys.stderr.write(USAGE)
        sys.exit(1)
    sys.stdout.write(command(Places()))


if __name__ == "__main__":
    main()
