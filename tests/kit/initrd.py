"""The initrd's own shell script, without its start: what its functions do, with a shell and the jq of this machine."""

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.kit.contracts import CONTRACTS

SCRIPT = CONTRACTS.parent / "pkg" / "initrd" / "init"
SOURCED = re.compile(r"^\. /(\w+)$", re.MULTILINE)
"""Other files of the initrd, that the script reads."""
SHELLS = ("dash", "busybox sh")


def initrd(shell: str, run: Path, work: str, *, within: Sequence[str] = (), **values: str) -> str:
    """Do `work` with the initrd's functions; `run` is its /run/toweros, and has its temporary files. A machine with
    UEFI, unless `EFI` names a folder that is not there. `within`: words before the shell, such as a namespace's."""
    script = SOURCED.sub(lambda match: (SCRIPT.parent / match[1]).read_text(), SCRIPT.read_text())
    start = "\nmain\n"
    assert script.endswith(start)
    functions = script.removesuffix(start).replace("/tmp/", f"{run}/")
    settings = "\n".join(
        f"{name}={shlex.quote(value)}" for name, value in {"HANDOVER": str(run), "EFI": str(run), **values}.items()
    )
    fail = 'fail() { echo "FAILED: $*" >&2; exit 1; }'
    program = f"{functions}\n{settings}\n{fail}\n{work}\n"
    return subprocess.run([*within, *shell.split(), "-c", program], capture_output=True, text=True, check=True).stdout
