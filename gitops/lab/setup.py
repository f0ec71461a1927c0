"""What a demo needs on one machine: a fleet repo, keys, an operator who signs, a controller's settings, one box.

In: a folder. Out: the same folder, filled; what is there already is used again. Rules: everything is made by the verbs
that a user has; ports are chosen once, so that a box finds its server again.

    setup = Setup(Path("demo"))
    setup.prepare()
    setup.machine()
"""

import shutil
import sys
from pathlib import Path

from gitops.lab.accelerator import TCG
from gitops.lab.firmware import Certificates, enroll_keys
from gitops.lab.hardware import Hardware, free_port
from gitops.lab.machine import Machine
from gitops.process import Background, run, start

BOX = "demo-1"
GREETING = "pkg/hello/www/index.html"
GUEST = "10.0.2.2"
"""The host's loopback, as a QEMU guest sees it."""
PROBATION = 20
"""Seconds that the health checks must hold."""
LONGEST = 3000.0
"""Seconds that a verb may take: downloads, all packages, all layers."""


class Setup:
    """One folder."""

    accelerator = TCG
    """What runs its machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.fleet, self.keys, self.logs = (self.folder / name for name in ("fleet", "keys", "logs"))
        self.config, self.disk, self.operator = (
            self.folder / name for name in ("toweros.toml", "disk.qcow2", "operator")
        )

    def prepare(self) -> None:
        """Fleet repo, keys, an operator's SSH key that signs commits, toweros.toml: made once, the last as the seal."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.config.exists():
            for half_made in (self.fleet, self.keys):
                shutil.rmtree(half_made, ignore_errors=True)
            self.toweros("init", self.fleet, configured=False)
            passphrase = self.folder / "passphrase"
            passphrase.write_text("demo\n")
            made = ("keys", "init", self.keys, "--passphrase-file", passphrase, "--public", self.fleet / "keys")
            self.toweros(*made, configured=False)
            self._operator()
            self._configure_fleet()
            self._configure_controller()
        if "hello" not in (self.fleet / GREETING).read_text():
            self.greet("hello from TowerOS\n")
            self.commit("A greeting that is accepted: the last demo was stopped midway")

    def lock_again(self) -> tuple[str, ...]:
        """Lock the packages again of which no place has the files any more, in the demo's own fleet repo alone.

        Returns their names; the rest is in the store afterwards.
        """
        self.toweros("lock", "--gone", "--dir", self.fleet)
        changed = run(["git", "-C", self.fleet, "diff", "--name-only"]).decode().splitlines()
        packages = tuple(name.rpartition("/")[0] for name in changed)
        if packages:
            why = f"Lock {len(packages)} packages again: files of theirs left the mirrors"
            self.commit("\n".join([why, "", *packages]))
        return packages

    def _operator(self) -> None:
        self.operator.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator@demo", "-f", self.operator])
        public = self.operator.with_suffix(".pub").read_text()
        (self.folder / "allowed_signers").write_text(f'operator@demo namespaces="git" {public}')
        (self.fleet / "keys" / "authorized_keys").write_text(public)
        signing = {"gpg.format": "ssh", "user.signingkey": str(self.operator), "commit.gpgsign": "true"}
        for name, value in {"user.name": "operator", "user.email": "operator@demo", **signing}.items():
            run(["git", "-C", self.fleet, "config", name, value])

    def _configure_fleet(self) -> None:
        path = self.fleet / "fleet.yaml"
        text = path.read_text().replace("sign: none", "sign: head")
        text = text.replace("probation: 120", f"probation: {PROBATION}").replace("poll: 30", "poll: 5")
        path.write_text(text)
        self.commit("The demo's fleet: signed commits, a short probation")

    def _configure_controller(self) -> None:
        ports = {name: free_port() for name in ("server", "hello", "ssh")}
        (self.folder / "ports").write_text("".join(f"{name} {port}\n" for name, port in ports.items()))
        lines = {"state": "state", "keys": "keys", "allowed_signers": "allowed_signers", "repository": str(self.fleet)}
        # Boxes of the demo and the person in front of it are on this machine: one address is enough.
        lines |= {name: f"127.0.0.1:{ports['server']}" for name in ("listen", "people_listen")}
        lines |= {"server": f"http://{GUEST}:{ports['server']}"}
        text = "".join(f'{name} = "{value}"\n' for name, value in lines.items()) + "poll = 2\n"
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config)

    def port(self, name: str) -> int:
        """A port of the host's loopback that this demo uses."""
        return {n: int(p) for n, p in (line.split() for line in (self.folder / "ports").read_text().splitlines())}[name]

    def toweros(self, *words: str | Path, configured: bool = True) -> bytes:
        """Run a verb as a user would."""
        config: list[str | Path] = ["--config", self.config] if configured else []
        return run([Path(sys.executable).with_name("toweros"), *words, *config], timeout=LONGEST)

    def controller(self) -> Background:
        log_file = self.logs / "controller.log"
        return start([Path(sys.executable).with_name("toweros"), "run", "--config", self.config], log_file=log_file)

    def machine(self) -> Machine:
        folder = self.folder / "machine"
        folder.mkdir(exist_ok=True)
        variables = folder / "vars.fd"
        if not variables.exists():
            enroll_keys(variables, Certificates.of_folder(self.keys))
        ports = {self.port("hello"): 8080, self.port("ssh"): 22}
        return Machine(folder, Hardware(self.disk, variables, ports, accelerator=self.accelerator))

    def commit(self, message: str) -> str:
        """Commit everything, signed by the operator; returns the commit."""
        run(["git", "-C", self.fleet, "add", "--all"])
        run(["git", "-C", self.fleet, "commit", "--quiet", "--message", message])
        return self.head()

    def revert(self) -> str:
        """Undo the last commit by another one; returns that."""
        run(["git", "-C", self.fleet, "revert", "--no-edit", "HEAD"])
        return self.head()

    def head(self) -> str:
        return run(["git", "-C", self.fleet, "rev-parse", "HEAD"]).decode().strip()

    def greet(self, text: str) -> None:
        """Change what the box's sample service says."""
        (self.fleet / GREETING).write_text(text)
