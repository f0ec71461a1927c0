"""Does KVM work here? Asked of a guest of seven bytes, never of the device: /dev/kvm may be there and hang.

In: this machine. Out: `kvm` or `tcg`. Rules: two seconds decide; nothing here opens the device, so nothing here can
hang with it; a probe that cannot even be ended is left behind.

    accelerator(Accelerator.auto)      # "kvm", when a guest ran
"""

import contextlib
import os
import signal
import tempfile
import time
from enum import StrEnum
from pathlib import Path

from gitops.errors import ProcessError
from gitops.process import start

EMULATED = "qemu64,model=6,-cx16"
"""A K8 that is too old for `rep stos`: emulation takes plain stores much faster, and a kernel clears many pages. Like
the first of them it has no `cmpxchg16b`: seldom, QEMU 7.2 goes on behind one with flags that are none, and the guest's
kernel, which allocates memory by it, ends in a double fault."""
SECONDS = 2.0
POLL = 0.02
KVM, TCG = "kvm", "tcg"
DEVICE = Path("/dev/kvm")
SIZE = 1 << 16
START = SIZE - 16
"""Where a processor begins: 16 bytes below the end of the firmware."""
GUEST = bytes.fromhex("baf400b010eef4")
"""mov dx, 0xf4; mov al, 0x10; out dx, al; hlt: isa-debug-exit then ends QEMU with 0x10 * 2 + 1."""
RAN = 0x21


class Accelerator(StrEnum):
    """What runs a machine's code."""

    auto = "auto"
    kvm = KVM
    tcg = TCG


def accelerator(wanted: Accelerator, seconds: float = SECONDS) -> str:
    """QEMU's word for it; `auto`: KVM where a guest has just run by it within `seconds`."""
    if wanted is not Accelerator.auto:
        return wanted.value
    return KVM if DEVICE.exists() and works(seconds) else TCG


def processor(accelerator: str) -> str:
    """QEMU's word for the processor of a machine: the probe's is that of the machines, as a KVM that runs one kind may
    end QEMU with another."""
    return EMULATED if accelerator == TCG else "host"


def works(seconds: float = SECONDS, by: str = KVM) -> bool:
    """Whether a guest runs by KVM, and comes to its end in time."""
    folder = Path(tempfile.mkdtemp(prefix="toweros-kvm-"))
    firmware, log = folder / "firmware", folder / "log"
    firmware.write_bytes(bytes(START) + GUEST.ljust(SIZE - START, b"\xf4"))
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16"]
    command += ["-accel", by, "-cpu", processor(by), "-bios", str(firmware)]
    try:
        probe = start([*command, "-device", "isa-debug-exit,iobase=0xf4,iosize=1"], log_file=log)
        deadline = time.monotonic() + seconds
        while probe.running and time.monotonic() < deadline:
            time.sleep(POLL)
        code = probe.code
        if code is None:  # not waited for: what hangs in the kernel does not end
            with contextlib.suppress(ProcessLookupError):
                os.killpg(probe.pid, signal.SIGKILL)
        return code == RAN
    except ProcessError:
        return False
    finally:
        for path in (firmware, log):
            path.unlink(missing_ok=True)
        folder.rmdir()
