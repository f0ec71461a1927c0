"""The box's own program: it fetches what Git asked for, tries it, and keeps it or goes back.

It needs Python's standard library, python-tuf (with securesystemslib and urllib3) and cryptography, and shares no code
with the controller: formats are the contract (contracts/, docs/formats.md).

    machine   the states of a box and their named transitions
    rules     pure decisions: take an offer? what went wrong? what stays on the disk? where to fall back to?
    nouns     what the documents say, checked while they are read
    offer/    what the server offers, as far as signatures vouch for it, and its way onto the disk
    host/     what is kept, what boots, what the firmware tries when that does not; proof of every layer; the watchdog
    history   the memory from one boot to the next: what was staged, what failed and why, the proven time
    upkeep    the clock, the way back, and what nothing needs any more
    health/   probation: does the release do what it must? and how it does since
    deadlines how long what may take, and that it fits together
    outgoing/ the key of the box, that what it says fits, and its small form
    facts/    what an operator asks of a box that is well
    wiping/   the order to wipe this box
    telling report   what the box says of itself, signed with its own key
    loop      ties these together; `box` is the operator's small command

Sizes are bytes, times Unix seconds, delays seconds, digests lower-case hex. Two rules outrank the rest: the running
release is never touched, and an entry gets its bootable name only when all that it needs is on the disk and read back.
"""

VERSION = "1"
"""The highest format number that it reads."""
RELEASE = "0.1.0"
"""Of TowerOS (pyproject.toml), as people read it."""
