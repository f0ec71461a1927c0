"""Fleet repos for tests, in memory and in folders."""

from pathlib import Path

from gitops.errors import Problem
from gitops.fleet.packages import load_packages
from gitops.fleet.packages.lockfile import dump_lock
from gitops.model import LockedFile, Package
from gitops.source import FolderTree
from tests.simulators.tree import DictTree


def package(path: str, *bases: str, dockerfile: str = "") -> dict[str, str]:
    """A folder that stands on siblings: the last is its final base."""
    names = [f"B{number}" for number in range(len(bases))]
    arguments = "".join(
        f"  - {name}=@lkt:pkg:../{base.rpartition('/')[2]}\n" for name, base in zip(names, bases, strict=True)
    )
    build = f"image: {path.rpartition('/')[2]}\n" + (f"buildArgs:\n{arguments}" if bases else "")
    stages = "".join(f"ARG {name}\nFROM ${{{name}}}\n" for name in names) or "FROM scratch\n"
    return {f"{path}/build.yml": build, f"{path}/Dockerfile": dockerfile or stages, f"{path}/file": path}


PACKAGES = DictTree(
    package("pkg/toolbox")
    | package("pkg/base", "pkg/toolbox")
    | package("pkg/sshd", "pkg/base")
    | package("pkg/hello", "pkg/base")
    | package("pkg/kernel", "pkg/toolbox")
)


def load(tree: DictTree, recipe: int = 1, platform: str = "linux/amd64") -> dict[str, Package]:
    problems: list[Problem] = []
    packages = load_packages(tree, recipe, platform, problems)
    assert not problems
    return packages


BOOT = (
    'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\n'
    'services:\n  - {name: hello, image: "@pkg:../pkg/hello"}\n  - {name: sshd, image: "@pkg:../pkg/sshd"}\n'
)
WANTED = "deb openssh-server\n"


def lock(version: str, size: int = 1_000_000) -> str:
    path = f"pool/main/o/openssh/openssh-server_{version.replace(':', '%3a')}_amd64.deb"
    return dump_lock(WANTED.encode(), [LockedFile("deb", "openssh-server", version, "ab" * 32, size, path)]).decode()


TREE = DictTree(
    {"fleet.yaml": "source: {branch: main}\n", "boot/a.yml": BOOT, "roles/vm.yaml": "boot: [boot/a.yml]\n"}
    | {f"boxes/{name}.yaml": "role: vm\nnetwork: {dhcp: true}\n" for name in ("one", "two", "three")}
    | package("pkg/toolbox")
    | package("pkg/base", "pkg/toolbox")
    | {**package("pkg/sshd", "pkg/base"), "pkg/sshd/packages.in": WANTED, "pkg/sshd/packages.lock": lock("1:10.0p1-7")}
    | package("pkg/hello", "pkg/base")
    | package("pkg/init", "pkg/base")
    | package("pkg/kernel", "pkg/toolbox")
    | package("pkg/initrd", "pkg/toolbox")
    | package("pkg/bootloader", "pkg/toolbox")
)

IMAGE = "example.org/x@sha256:" + "0" * 64
SOUND = {
    "fleet.yaml": "poll: 20\nhealth: {probation: 60}\n",
    "boot/a.yml": f"""\
kernel: {{image: "{IMAGE}", cmdline: console=ttyS0}}
init: ["{IMAGE}"]
onboot:
  - {{name: dhcp, image: "{IMAGE}"}}
services:
  - {{name: sshd, image: "{IMAGE}", env: [A=1], net: host}}
files:
  - {{path: etc/motd, contents: boot}}
""",
    "boot/b.yml": f'services:\n  - {{name: hello, image: "{IMAGE}"}}\n',
    "roles/vm.yaml": """\
boot: [boot/a.yml, boot/b.yml]
cmdline: [quiet]
health:
  checks:
    - {name: hello, http: "http://127.0.0.1:8080/", contains: hi}
    - {name: sshd, service: sshd}
files:
  - {path: /etc/motd, contents: role}
""",
    "boxes/one.yaml": "role: vm\nsite: lab\nlabels: {owner: ada}\n",
    "boxes/two.yaml": """\
role: vm
poll: 5
suspended: "ada: disk"
network: {interface: eth1, address: 192.0.2.10/24, gateway: 192.0.2.1, dns: [192.0.2.53, 192.0.2.54]}
services:
  sshd: {env: [A=2], net: null}
remove: [dhcp]
health: {checks: [{name: hello, http: "http://127.0.0.1:9/"}], remove: [sshd]}
files:
  - {path: /etc/banner, source: texts/banner, mode: "0644"}
""",
    "texts/banner": "welcome\n",
    "keys/authorized_keys": "ssh-ed25519 AAAA ada\n",
    "keys/root.json": "{}",
}


def repo(folder: Path, **change: str | None) -> FolderTree:
    """The sound fleet with files changed, added, or left out."""
    for path, text in {**SOUND, **change}.items():
        place = folder / path
        if text is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    return FolderTree(folder)
