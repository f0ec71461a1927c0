"""Kernel and command line as boot loaders take them.

In: what a spec says. Out: the same, checked. Rules: a line is one line of plain text.
"""

import re

from gitops.assemble.formats.work import Work
from gitops.errors import AssembleError

MAX_CMDLINE = 2047
"""Bytes: COMMAND_LINE_SIZE of x86, less its end."""
WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')


def checked(work: Work) -> tuple[bytes, bytes]:
    """(kernel, command line).

    Raises:
        AssembleError: there is no kernel, or the kernel could not read its command line.
    """
    line = " ".join(work.read("cmdline").decode().split())
    if not line.isascii() or len(line) > MAX_CMDLINE:
        raise AssembleError(f"the kernel's cmdline must be plain ASCII and no longer than {MAX_CMDLINE} bytes")
    return work.read("kernel"), line.encode()


def words(line: str) -> list[str]:
    """A command line's words, without the quotes that hold one together (kernel docs, kernel-parameters)."""
    return [word.replace('"', "") for word in WORD.findall(line)]
