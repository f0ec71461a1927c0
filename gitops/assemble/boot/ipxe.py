"""Scripts for iPXE (ipxe.org/scripting). What is not ours cannot say a word in them.

In: texts. Out: a script. Rules: of what goes into a script each line is one command with words as they are. iPXE has no
quoting: it expands `${...}` wherever it stands, again and again; a word `||` or `&&` ends a command, a word that begins
with `#` a line, and a backslash at the end of a line joins it with the next. A line that has one of these is refused.
Addresses are relative to that of the script, so no server's name is in one.

    script("demo-1", 7, "files/5c1e...", "files/9d0a...", "console=ttyS0 toweros.release=...", "files/77b2...")
"""

import re

from gitops.errors import AssembleError

FIRST = """#!ipxe
# TowerOS: which box is this?
chain --replace box.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid} ||
echo TowerOS: the update server gave no answer
sleep 10
reboot
"""
"""What every machine gets: it asks with what it is known by. No colons: what is before one were a scheme (RFC 3986)."""
STRANGER = """#!ipxe
echo TowerOS: no box is known by ${netX/mac} or ${uuid}: see docs/netboot.md
sleep 5
exit 1
"""
OWN_DISK = """#!ipxe
echo TowerOS: it starts from its own disk
exit
"""
"""The firmware goes on to what it starts next."""
PLAIN = re.compile(r"[!-~]+")


def script(box: str, sequence: int, kernel: str, initrd: str, line: str, image: str) -> str:
    """The script that starts a release: on a BIOS, and in UEFI, where the firmware starts what is on `image`.
    Under Secure Boot iPXE itself does not start, unless somebody signed it for that machine.

    Raises:
        AssembleError: a text would be more than a word to iPXE.
    """
    commands = (
        f"echo TowerOS: box {box}, release {sequence}",
        f"kernel {kernel} {line}",
        f"initrd {initrd}",
    )
    disk = f"sanboot --no-describe {image}"
    for command in (*commands, disk):
        check(command)
    return "\n".join(("#!ipxe", "iseq ${platform} pcbios || goto uefi", *(f"{each} || goto again" for each in commands),
                      "boot ||", ":again", "echo TowerOS: this did not start; again in 10 s", "sleep 10", "reboot",
                      ":uefi", commands[0], f"{disk} || goto again", "goto again", ""))  # fmt: skip


def check(command: str) -> None:
    """Raises AssembleError: iPXE would read another command than the words of this line."""
    for word in command.split(" "):
        if not PLAIN.fullmatch(word) or word in ("||", "&&") or word[0] == "#" or "${" in word or word[-1] == "\\":
            hint = "take it out of `cmdline:`; a disk or UEFI HTTP Boot can have it"
            raise AssembleError(f"iPXE cannot pass {word!r} on", hint=hint)
