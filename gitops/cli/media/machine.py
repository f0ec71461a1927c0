"""`toweros run FORMAT FILE`: what `toweros assemble` made, in QEMU, with LinuxKit's words for the machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli.output import talk
from gitops.errors import TowerosError, VmError
from gitops.files.named import named
from gitops.files.whole import whole
from gitops.lab.accelerator import KVM, TCG, Accelerator, accelerator
from gitops.lab.asked.data import LARGEST as MOST_DATA
from gitops.lab.asked.data import disc
from gitops.lab.asked.which import WORD, Said, which
from gitops.lab.asked.words import disk, network
from gitops.lab.hardware import MEMORY
from gitops.lab.image import FORMATS, Asked, command
from gitops.process import become

PLAIN = Said()
PROCESSORS, LARGEST = 64, 16 << 20
"""Of a machine; MiB of its memory."""


def _format(word: str) -> str:
    if word not in (*FORMATS, WORD):
        known = f"{', '.join(FORMATS)}, or {WORD} (whatever the file is)"
        raise typer.BadParameter(f"Got unexpected extra argument ({word}); FORMAT is one of {known}")
    return word


def option(help_: str, *names: str) -> object:
    return typer.Option(*names, help=help_, rich_help_panel="Of a machine")


FormatArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FORMAT", parser=_format, help="Instead: start what `toweros assemble` made in this format; or `qemu`."
    ),
]
FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The file, or how the names of its files begin.")
]
MemoryOption = Annotated[int, option("MiB.", "--memory", "--mem")]
CpusOption = Annotated[int, option("Processors.")]
AcceleratorOption = Annotated[Accelerator, option("tcg, kvm, or auto: KVM where a guest runs by it.")]
KvmOption = Annotated[bool | None, option("The same, as LinuxKit says it.", "--kvm/--no-kvm")]
DiskOption = Annotated[
    list[str] | None, option("One more disk: PATH, size=1G or both, with a comma; made if it is not there.")
]
PublishOption = Annotated[list[str] | None, option("HOST:MACHINE or HOST:MACHINE/udp: a port of the loopback.")]
NetworkingOption = Annotated[str, option("user, none, tap,NAME or bridge,NAME.")]
DataOption = Annotated[str | None, option("What the machine's `metadata` container finds.")]
DataFileOption = Annotated[Path | None, option("The same, of a file.")]
FirmwareOption = Annotated[Path | None, option("Firmware for UEFI, in place of the host's.", "--fw")]
GuiOption = Annotated[bool, option("A window with its screen; the console stays here.")]
IsoOption = Annotated[bool, option("With `qemu`: FILE is an ISO.")]
UefiOption = Annotated[bool, option("With `qemu`: started by UEFI.")]
KernelOption = Annotated[bool, option("With `qemu`: FILE-kernel and FILE-initrd.img.")]
SquashfsOption = Annotated[bool, option("With `qemu`: FILE-kernel and FILE-squashfs.img.")]
NameOption = Annotated[str, option("Its name.")]


@dataclass(frozen=True)
class Words:
    """What the command line says of the machine."""

    memory: int = MEMORY
    cpus: int = 1
    accelerator: Accelerator = Accelerator.tcg
    kvm: bool | None = None
    disks: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    networking: str = "user"
    data: str | None = None
    data_file: Path | None = None
    firmware: Path | None = None
    gui: bool = False
    name: str = ""
    said: Said = PLAIN


def start(format_: str, file: Path | None, words: Words, state: Path | None) -> None:
    """Become the machine. `state`: the folder of what is its own (default: FILE-state).

    Raises:
        VmError: something that it needs is not there, or is none of LinuxKit's words.
    """
    if file is None:
        raise TowerosError(f"which file of the format {format_}?", hint=f"toweros run {format_} FILE")
    kind = which(file, words.said) if format_ == WORD else format_
    own = state or file.with_name(f"{file.name.removesuffix('.iso')}-state")
    asked = _asked(words, own)
    line = command(kind, file, asked)
    for each in asked.disks:
        each.there()
    talk.print("Ctrl-a x ends the machine")
    become(line)


def _asked(words: Words, own: Path) -> Asked:
    if not 0 < words.cpus <= PROCESSORS:
        raise VmError(f"--cpus {words.cpus} is no number of processors", hint=f"1 to {PROCESSORS}")
    if not 0 < words.memory <= LARGEST:
        raise VmError(f"--mem {words.memory} is no size of a memory", hint="MiB, such as 1024")
    by = {None: accelerator(words.accelerator), True: KVM, False: TCG}[words.kvm]
    return Asked(
        words.memory, by, words.cpus, [disk(said, own, number) for number, said in enumerate(words.disks)],
        network(words.networking, words.publish), _data(words, own), words.firmware,
        words.said.uefi, words.gui, words.name.replace(",", ",,"),
    )  # fmt: skip


def _data(words: Words, own: Path) -> Path | None:
    if words.data is not None and words.data_file:
        raise VmError("--data and --data-file are one thing", hint="leave one of them out")
    if words.data is None and not words.data_file:
        return None
    try:
        image = disc(named(words.data_file, MOST_DATA) if words.data_file else (words.data or "").encode())
    except OSError as error:
        raise VmError(f"{error.filename or words.data_file}: {error.strerror}", hint="name another file") from error
    try:
        own.mkdir(parents=True, exist_ok=True)
        with whole(own / "data.iso") as stream:
            stream.write(image)
    except OSError as error:
        hint = "name another folder with --state"
        raise VmError(f"{error.filename or own}: {error.strerror}", hint=hint) from error
    return own / "data.iso"
