"""A spec and its images become files, in any of the formats.

In: a `Spec`, an OCI layout, a `Memory`, the tools. Out: files with LinuxKit's names. Rules: everything is looked at
before anything is written; a step runs when what it makes is not remembered, and asks for what it needs only then; a
file takes its name when it is whole.

    assembly = Assembly(spec, OciLayout(Path("images")), Memory(Path("assembled")), tools)
    with assembly:
        assembly.write(["kernel+initrd", "raw-efi"], Path("out/demo"))    # demo-kernel, demo-efi.img, ...
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

from gitops.assemble.formats.chain import PIECES, STEPS, Step
from gitops.assemble.formats.memory import NEW, Memory
from gitops.assemble.formats.names import EARLY, FORMATS
from gitops.assemble.formats.steps.initrd import part
from gitops.assemble.formats.tar import Piece, pieces, write_items
from gitops.assemble.formats.work import Tools, Work
from gitops.errors import AssembleError
from gitops.files.whole import beside
from gitops.model import Spec, canonical, sha256
from gitops.oci.layout import OciLayout

PART = 3
"""The number of the rules by which a piece becomes part of an initrd."""


class Assembly:
    """One spec, assembled. `tools` is asked for the image tools when a format needs one; `more`: pieces behind those of
    the spec; `size`: bytes that disks have at least."""

    def __init__(
        self,
        spec: Spec,
        images: OciLayout,
        memory: Memory,
        tools: Callable[[], Tools],
        more: Iterable[Piece] = (),
        size: int = 0,
    ) -> None:
        self._spec, self._memory, self._tools, self._size = spec, memory, tools, size
        self._pieces = [*pieces(spec, images), *more]
        self._made: dict[str, Path] = {}
        self._left: set[str] = set()
        self._found: Tools | None = None
        self._files: dict[str, list[Path]] = {}
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._held.enter_context(self._memory.kept())
        self._scratch = tempfile.TemporaryDirectory(prefix=NEW, dir=self._memory.room())
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()
        self._held.close()

    def write(self, formats: Sequence[str], base: Path) -> list[Path]:
        """Write the files of the formats; `base` is the path that their names begin with.

        Raises:
            AssembleError: two formats would write one file; there is no kernel to boot; a step fails.
        """
        outputs = self._outputs(formats, base)
        for name in outputs.values():
            self._file(name)
        for target, name in outputs.items():
            self._leave(name, target)
        return list(outputs)

    def stream(self, format_: str, output: BinaryIO) -> None:
        """Write the one file of a format."""
        self._check([format_])
        ((_, name),) = FORMATS[format_]
        with self._file(name).open("rb") as stream:
            shutil.copyfileobj(stream, output, 1 << 20)

    def place(self, format_: str, target: Path) -> None:
        """Write the one file of a format to `target`."""
        self._check([format_])
        ((_, name),) = FORMATS[format_]
        self._leave(name, target)

    def _outputs(self, formats: Sequence[str], base: Path) -> dict[Path, str]:
        """Every file, and the step that makes it."""
        self._check(formats)
        outputs: dict[Path, str] = {}
        for format_ in formats:
            for suffix, name in FORMATS[format_]:
                target = base.with_name(base.name + suffix)
                if outputs.setdefault(target, name) != name:
                    raise AssembleError(f"two formats write {target}", hint="ask for them with different --name")
                if self._absent(name):
                    del outputs[target]
        return outputs

    def _check(self, formats: Iterable[str]) -> None:
        for format_ in formats:
            boots = any(_needs(name, "kernel") for _, name in FORMATS[format_] if name not in EARLY)
            if boots and not self._spec.kernel and format_ != "tar-kernel-initrd":
                raise AssembleError(f"{format_} boots a kernel, and the spec has none", hint="add `kernel:` to a spec")

    def _absent(self, name: str) -> bool:
        return name in EARLY and (not self._spec.kernel or (name == "cmdline" and not self._spec.cmdline))

    # --- steps ------------------------------------------------------------------------------------------------------

    def _file(self, name: str) -> Path:
        """What a step makes, made or remembered."""
        if name not in self._made:
            step = STEPS[name]
            if step.kept:
                self._made[name] = self._memory.get(self._key(name), lambda target: self._run(step, target))
            else:
                folder = Path(self._scratch.name, name)
                folder.mkdir(exist_ok=True)
                self._run(step, folder / name)
                self._made[name] = folder / name
        return self._made[name]

    def _run(self, step: Step, target: Path) -> None:
        inputs = {need: self._inputs(need) for need in step.needs}
        step.make(Work(inputs, target, lambda: self._known_tools().unpacked(), self._size))

    def _inputs(self, need: str) -> Sequence[Path]:
        return self._piece_files(need) if need in PIECES else [self._file(need)]

    def _key(self, name: str) -> str:
        step = STEPS[name]
        tools = self._known_tools().key if step.tools else ""
        size = [self._size] if step.sized else []
        return sha256(canonical([name, step.version, tools, *size, *map(self._input_key, step.needs)]))

    def _input_key(self, need: str) -> str:
        return sha256(canonical([p.key for p in self._wanted(need)])) if need in PIECES else self._key(need)

    def _known_tools(self) -> Tools:
        self._found = self._found or self._tools()
        return self._found

    # --- pieces of the root -----------------------------------------------------------------------------------------

    def _wanted(self, need: str) -> list[Piece]:
        if need == "tars":
            return self._pieces
        return [piece for piece in self._pieces if (piece.kind == "boot") == (need == "boot")]

    def _piece_files(self, need: str) -> list[Path]:
        if need not in self._files:
            one = self._initrd_part if need == "cpios" else self._tar
            # Hashing and compression leave Python alone.
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                self._files[need] = list(pool.map(one, self._wanted(need)))
        return self._files[need]

    def _tar(self, piece: Piece) -> Path:
        def make(target: Path) -> None:
            with target.open("wb") as output:
                write_items(piece.items(), output)

        return self._memory.get(piece.key, make)

    def _initrd_part(self, piece: Piece) -> Path:
        key = sha256(canonical(["initrd", PART, piece.key]))
        return self._memory.get(key, lambda target: part(self._tar(piece), piece, target))

    def _leave(self, name: str, target: Path) -> None:
        """What is remembered stays as it is, whatever becomes of the file: it is copied, as what was left before is:
        no two outputs are one file."""
        source = self._file(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with beside(target) as new:
                if STEPS[name].kept or name in self._left or not _moved(source, new):
                    shutil.copyfile(source, new)
                else:
                    self._left.add(name)
                    del self._made[name]
        except OSError as error:
            where = target.parent if error.errno in (errno.ENOTDIR, errno.EEXIST) else target
            raise AssembleError(f"{where}: {error.strerror}", hint="name a place that can be written") from error


def _moved(source: Path, target: Path) -> bool:
    """False: it lies on another disk."""
    try:
        source.rename(target)
    except OSError:
        return False
    return True


def _needs(name: str, wanted: str) -> bool:
    return name == wanted or (name not in PIECES and any(_needs(need, wanted) for need in STEPS[name].needs))
