"""A box without a machine: folders as its partitions, a firmware and a boot loader of a few lines, the real agent.

`power_on` does what the firmware, systemd-boot and the initrd do: the firmware starts what BootNext says, systemd-boot,
its second boot entry, whichever it does not refuse (which begins with `SIGNED`); systemd-boot takes the newest entry
that has tries, and counts it; the "initrd" proves every layer of the release. It returns the agent of that boot, or
None when the box is lost.
"""

import json
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from toweros_agent import nouns
from toweros_agent.firmware.efivars import LOADER, LOADER_PATH
from toweros_agent.host import verity
from toweros_agent.host.firmware import file_path
from toweros_agent.host.renaming import settle
from toweros_agent.loop import Agent
from toweros_agent.machine import State
from toweros_agent.settings import Places

from gitops.assemble.formats.esp import LOADER_CONF
from gitops.model import BlobRef, BootFiles, Content, HealthCheck, HealthSpec, Layer, Mounted, Release
from tests.kit.contracts import good
from tests.simulators.services import Services

SIGNED = b"MZ signed "
GUID = "0f0e0d0c-0b0a-0908-0706-050403020100"


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4096)


@dataclass
class Made:
    """A release with everything that belongs to it."""

    sequence: int
    document: bytes
    uki: bytes
    addon: bytes
    blobs: dict[str, bytes]

    @property
    def digest(self) -> str:
        return sha256(self.document).hexdigest()

    @property
    def content(self) -> str:
        return nouns.Release.parse(self.document).content


def make(sequence: int, *, service: bytes = b"one", uki: bytes = SIGNED + b"kernel 1", box: str = "demo-1",
         probation: int = 1, checks: tuple[HealthCheck, ...] = (),
         images: tuple[bytes, ...] = (), loader: str = "") -> Made:  # fmt: skip
    """A release of three layers: root and base are the same in all of them, `service` is its own. And user images.
    `loader`: what it says of systemd-boot."""
    datas = [pad(data) for data in (b"root" * 5000, b"base" * 9000, service * 3000, *images)]
    layers = tuple(Layer(verity.hash_tree(BytesIO(data), len(data), lambda: None)[0], len(data)) for data in datas)
    mounted = [Mounted("services/hello", "rootfs", layers[1:3])]
    mounted += [Mounted("images", "oci", layers[3:])] if images else []
    boot = BlobRef("0" * 64, 1)
    content = Content(boot, boot, "console=ttyS0", layers[:1], tuple(mounted), HealthSpec(probation, checks),
                      BootFiles(loader, "0" * 64, "0" * 64) if loader else None)  # fmt: skip
    release = Release(box, sequence, content)
    addon = b"addon toweros.release=" + release.digest.encode()
    blobs = {layer.root: data for layer, data in zip(layers, datas, strict=True)}
    return Made(sequence, release.encode(), uki, addon, blobs)


class Box:
    """The disk of one box, under `root`, and what happens when its power comes."""

    def __init__(self, root: Path, server: str, tuf_root: bytes) -> None:
        self.root, self.server = root, server
        self.run, self.esp = root / "run", root / "run" / "esp"
        self.disk, self.linux = root / "run" / "disk", root / "run" / "esp" / "EFI" / "Linux"
        self.services, self.rebooted, self.hang = Services(), 0, False
        self._agent: Agent | None = None
        self.frozen = False
        """Nobody can write the ESP."""
        self.started: Callable[[nouns.Entry], str] = lambda entry: ""
        """Why the initrd gives up on an entry before it looks at its release."""
        for folder in ("layers", "releases", "state", "tuf", "identity"):
            (self.disk / folder).mkdir(parents=True)
        self.linux.mkdir(parents=True)
        (self.esp / "EFI" / "BOOT").mkdir()
        self.boot_loader = self.esp / "EFI" / "BOOT" / "BOOTX64.EFI"
        self.boot_loader.write_bytes(SIGNED + b"systemd-boot")
        self.runs: Callable[[bytes], bool] = lambda program: True
        """Whether a systemd-boot comes as far as an entry, on this hardware."""
        (self.esp / "loader").mkdir()
        (self.esp / "loader" / "loader.conf").write_text(LOADER_CONF)
        (root / "etc").mkdir()
        (root / "state").mkdir()
        (root / "etc" / "root.json").write_bytes(tuf_root)
        self.key = Ed25519PrivateKey.generate()
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.disk / "identity" / "box.key").write_bytes(pem)
        (root / "watchdog").touch()
        self._firmware()
        self.places = Places(
            run=self.run, etc=root / "etc", lib=root / "lib", sys=root / "sys", state=root / "state",
            holds=root / "holds",
            efivars=root / "efivars", pstore=root / "pstore", watchdog=root / "watchdog", boot_id=root / "boot_id",
            tpm=root / "tpm0", console=root / "console", screen=root / "screen",
        )  # fmt: skip

    def _firmware(self) -> None:
        (self.root / "efivars").mkdir()
        guid = struct.pack("<I", 6) + (GUID + "\0").encode("utf-16-le")
        (self.root / "efivars" / "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f").write_bytes(guid)
        self._says(LOADER_PATH)
        device = self.esp.stat().st_dev
        part = self.root / "sys" / "devices" / "vda" / "vda1"
        part.mkdir(parents=True)
        for name, value in (("partition", 1), ("start", 2048), ("size", 131072)):
            (part / name).write_text(f"{value}\n")
        (part.parent / "queue").mkdir()
        (part.parent / "queue" / "logical_block_size").write_text("512\n")
        block = self.root / "sys" / "dev" / "block"
        block.mkdir(parents=True)
        (block / f"{os.major(device)}:{os.minor(device)}").symlink_to(part)

    def install(self, made: Made) -> None:
        """As `toweros box image` leaves a disk: one blessed entry."""
        self.put(made)
        (self.linux / f"toweros-{made.sequence}.efi").write_bytes(made.uki)

    def put(self, made: Made) -> None:
        for root, data in made.blobs.items():
            self.put_layer(root, data)
        (self.disk / "releases" / f"{made.digest}.json").write_bytes(made.document)
        folder = self.linux / f"toweros-{made.sequence}.efi.extra.d"
        folder.mkdir()
        (folder / "release.addon.efi").write_bytes(made.addon)

    def put_layer(self, root: str, data: bytes) -> None:
        _, tree = verity.hash_tree(BytesIO(data), len(data), lambda: None)
        (self.disk / "layers" / root).write_bytes(data + tree)

    # --- what is on the disk ---

    def entries(self) -> list[str]:
        """systemd-boot lists what begins as a program does: an empty file does not."""
        return sorted(path.name for path in self.linux.iterdir() if path.suffix == ".efi" and path.stat().st_size)

    def bootable(self) -> list[int]:
        """Sequences of the entries whose UKI, addon, release and layers are all there and right."""
        found = [nouns.Entry.parse(name) for name in self.entries()]
        return [entry.sequence for entry in found if entry and self._loads(entry) and not self._initrd(entry.sequence)]

    # --- power ---

    def power_on(self) -> Agent | None:
        """Tries as the hardware would; the firmware's own fallback ends the tries of one power-on."""
        for path in (self._boot_next, lambda: LOADER_PATH, self._fallback):
            entry = self._firmware_starts(path())
            if entry and self._loads(entry):
                break
        else:
            return None
        why = self.started(entry) or self._initrd(entry.sequence)
        if why:
            (self.disk / "state" / f"why-{entry.sequence}").write_text(why)
            if entry.plain:
                self._rename(entry, f"toweros-{entry.sequence}+0-3.efi")  # and unmounts
            return self.power_on()
        if self.hang and not entry.plain:
            return self.power_on()
        return self.start(entry)

    def loader_entries(self) -> list[nouns.Entry]:
        return [entry for name in self.entries() if (entry := nouns.Entry.parse(name))]

    def _firmware_starts(self, path: str) -> nouns.Entry | None:
        """The entry that comes of it; None: the firmware goes on with the next one, at once or after a reset."""
        place = self.esp.joinpath(*path.split("\\"))
        if not path or not place.is_file() or not (program := place.read_bytes()).startswith(SIGNED):
            return None
        if place.parent == self.linux:
            self._says("")
            return nouns.Entry.parse(place.name)
        if not self.runs(program):
            return None
        self._says(path)
        return self._systemd_boot()

    def _says(self, path: str) -> None:
        """By which systemd-boot this boot was started: a variable that is gone with it."""
        place = self.root / "efivars" / f"LoaderImageIdentifier-{LOADER}"
        value = struct.pack("<I", 6) + (path + "\0").encode("utf-16-le")
        if place.parent.is_dir() and (not place.exists() or place.read_bytes() != value):
            place.write_bytes(value)

    def _systemd_boot(self) -> nouns.Entry | None:
        entries = self.loader_entries()
        entries.sort(key=lambda entry: (not entry.bad, entry.sequence))
        if not entries:
            return None
        best = entries[-1]
        if best.left and not self.frozen:
            counted = nouns.Entry(best.sequence, best.left - 1, best.done + 1)
            self._rename(best, counted.name)
            return counted
        return best

    def _rename(self, entry: nouns.Entry, name: str) -> None:
        """By the firmware's own driver, which keeps nothing back; or by Linux, with all of it written at once."""
        (self.linux / entry.name).rename(self.linux / name)
        settle(self.linux / name)

    def _fallback(self) -> str:
        """The second of BootOrder."""
        order = list((self.root / "efivars").glob("BootOrder-*"))
        return self._option(struct.unpack("<H", order[0].read_bytes()[6:8])[0]) if order else ""

    def _boot_next(self) -> str:
        """What the firmware was told to start once."""
        for path in (self.root / "efivars").glob("BootNext-*"):
            value = path.read_bytes()
            path.unlink()
            if not value:  # power was lost as it was written
                break
            attributes, number = struct.unpack("<IH", value)
            assert attributes == 7
            return self._option(number)
        return ""

    def _option(self, number: int) -> str:
        options = (self.root / "efivars").glob(f"Boot{number:04X}-*")
        return next((file_path(option[4:]) for each in options if (option := each.read_bytes())), "")

    def _loads(self, entry: nouns.Entry) -> bool:
        return (self.linux / entry.name).read_bytes().startswith(SIGNED)

    def _initrd(self, sequence: int) -> str:
        """Why the initrd would give up on a release ("" when it would not)."""
        addon = self.linux / f"toweros-{sequence}.efi.extra.d" / "release.addon.efi"
        try:
            digest = addon.read_bytes().split(b"toweros.release=")[1][:64].decode()
            release = nouns.Release.parse((self.disk / "releases" / f"{digest}.json").read_bytes())
            for each in release.layers():
                data = (self.disk / "layers" / each.root).read_bytes()
                root, tree = verity.hash_tree(BytesIO(data), each.size, lambda: None)
                if (root, tree) != (each.root, data[each.size :]):
                    return f"layer {each.root[:12]} is damaged"
        except (OSError, IndexError, nouns.Refused) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def start(self, entry: nouns.Entry) -> Agent:
        """The agent of a boot from this entry: what runs is what the addon beside it says."""
        addon = self.linux / f"toweros-{entry.sequence}.efi.extra.d" / "release.addon.efi"
        digest = addon.read_bytes().split(b"toweros.release=")[1][:64].decode()
        document = json.loads((self.disk / "releases" / f"{digest}.json").read_bytes())
        box, sequence = document["box"], document["sequence"]
        runs = {"box": box, "release": digest, "sequence": sequence, "server": self.server}
        boot = good("boot", "blessed", **runs, entry=entry.name, trial=not entry.plain)
        (self.run / "boot.json").write_text(json.dumps(boot))
        (self.run / "release.json").write_bytes((self.disk / "releases" / f"{digest}.json").read_bytes())
        (self.run / "agent.json").unlink(missing_ok=True)
        (self.run / "services.made").write_text(str(time.monotonic()))
        (self.root / "boot_id").write_text(f"{time.monotonic_ns()}\n")
        return self.agent()

    def agent(self) -> Agent:
        """Start the agent (again) in the boot that runs."""
        self.power_off()
        self._agent = agent = Agent(self.places, self.services, self._reboot)
        agent.http.pause = lambda seconds: None
        return agent

    def power_off(self) -> None:
        """A process that ends closes its files: a campaign that starts 100,000 agents has none left otherwise."""
        watchdog, self._agent = self._agent.watchdog if self._agent else None, None
        if watchdog and watchdog.armed:
            os.close(watchdog._handle)
            watchdog._handle = -1

    def _reboot(self) -> None:
        self.rebooted += 1

    def report(self, server: object) -> dict[str, object]:
        """The newest report, its signature checked."""
        last = server.reports[-1]  # type: ignore[attr-defined]
        self.key.public_key().verify(bytes.fromhex(last["signature"]), last["report"].encode())
        document: dict[str, object] = json.loads(last["report"])
        return document


def drive(agent: Agent, *states: State, limit: float = 20) -> State:
    """Let the agent work until it is in one of `states`; one more look when that is where it already is."""
    end = time.monotonic() + limit
    while True:
        delay = agent.step()
        if agent.state in states:
            return agent.state
        assert time.monotonic() < end, f"still {agent.state}: {agent.error}"
        if agent.state == State.PROBATION:
            time.sleep(min(delay, 0.2))
