"""`make demo`: a real box in QEMU takes a good commit, undoes a bad one, and the figures are printed.

In: an empty folder, or the one of the last demo. Out: a table; False unless the box did all of it. Everything is real:
a signed Git history, keys, the controller as a process of its own, a disk, a machine under Secure Boot. What is
unchanged since the last demo is reused.

The story: boot `demo-1` -> commit (a) another greeting: the box takes it -> commit (b) a greeting that the health check
does not accept: the box goes back by itself -> commit (c) reverts (b): nothing is left to do.
"""

import contextlib
import http.client
import itertools
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gitops.errors import TowerosError
from gitops.lab.firmware import Certificates, enroll_keys
from gitops.lab.hardware import Hardware, free_port
from gitops.lab.machine import Machine
from gitops.model import Health, Phase, Report, Verdict
from gitops.process import Background, run, start
from gitops.settings import Settings, load
from gitops.store import Store

BOX = "demo-1"
GREETING = "pkg/hello/www/index.html"
GUEST = "10.0.2.2"
"""The host's loopback, as a QEMU guest sees it."""
FIRST_RELEASE = 3000.0
"""Seconds until there is something to boot: downloads, all packages, all layers."""
VERDICT = 900.0
"""Seconds from a commit to its end: build, download, boots under emulation, probation."""
PROBATION = 20
"""Seconds that the demo's health checks must hold."""
GAP = 2.0
"""Seconds without an answer that count as downtime."""


@dataclass(frozen=True)
class Outcome:
    """One line of the closing table."""

    commit: str
    expected: str
    rebuilt: str
    fetched: int
    seconds: float
    downtime: float
    runs: str
    good: bool


class Demo:
    """One demo in one folder."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.folder, self.console = folder.resolve(), console
        self.fleet, self.keys, self.logs = (self.folder / name for name in ("fleet", "keys", "logs"))
        self.config, self.disk, self.operator = (
            self.folder / name for name in ("toweros.toml", "disk.qcow2", "operator")
        )
        self.settings = Settings()
        self._seen = 0

    def run(self) -> bool:
        """Tell the whole story. False when the box did not do what it should."""
        began = time.monotonic()
        self.step("fleet repository, keys and settings", self.prepare)
        self.settings = load(self.config)
        store = Store.open(self.settings.state)
        self._seen = len(store.events.latest(limit=1000))
        with self.controller() as controller:
            self.step(
                "controller: build, sign and publish the first release", lambda: self.published(store, controller)
            )
            if not self.disk.exists():
                self.step("the box's disk", lambda: self.toweros("box", "image", BOX, "--out", self.disk))
            with self.machine() as machine, Uptime(f"http://127.0.0.1:{self.port('hello')}/") as uptime:
                self.step("power on, wait for a healthy report", lambda: self.healthy(store, machine))
                started = time.monotonic() - began
                outcomes = [play(self, store, machine, uptime) for play in (take_good, undo_bad, revert)]
        self.print(outcomes, started)
        return all(outcome.good for outcome in outcomes)

    # --- the pieces -------------------------------------------------------------------------------------------------

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
            (self.fleet / GREETING).write_text("hello from TowerOS\n")
            self.commit("A greeting that is accepted: the last demo was stopped midway")

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
        lines |= {"listen": f"127.0.0.1:{ports['server']}", "server": f"http://{GUEST}:{ports['server']}"}
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
        return run([Path(sys.executable).with_name("toweros"), *words, *config], timeout=FIRST_RELEASE)

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
        return Machine(folder, Hardware(self.disk, variables, ports))

    def commit(self, message: str) -> str:
        """Commit everything, signed by the operator; returns the commit."""
        run(["git", "-C", self.fleet, "add", "--all"])
        run(["git", "-C", self.fleet, "commit", "--quiet", "--message", message])
        return run(["git", "-C", self.fleet, "rev-parse", "HEAD"]).decode().strip()

    # --- waiting ----------------------------------------------------------------------------------------------------

    def published(self, store: Store, controller: Background) -> None:
        """Wait until the newest commit was carried out."""
        head = run(["git", "-C", self.fleet, "rev-parse", "HEAD"]).decode().strip()
        self.wait(store, lambda: _carried_out(store, head), FIRST_RELEASE, lambda: controller.running, "the controller")

    def healthy(self, store: Store, machine: Machine) -> Report:
        """Wait until the box reports from this boot that it is healthy and runs what it should."""
        began = int(time.time())

        def ready() -> bool:
            row, report, wanted = store.boxes.row(BOX), store.boxes.report(BOX), store.offers.published(BOX)
            fresh = row is not None and row.received >= began and report is not None and report.phase == Phase.IDLE
            settled = fresh and report is not None and wanted is not None and report.health == Health.HEALTHY
            return bool(settled and wanted and report and report.content == wanted.release.content.digest)

        self.wait(store, ready, VERDICT, lambda: machine.running, "the box")
        report = store.boxes.report(BOX)
        assert report
        return report

    def wait(self, store: Store, done: Callable[[], bool], seconds: float, alive: Callable[[], bool], who: str) -> None:
        """Until `done`, with every new event of the store on the console.

        Raises:
            TowerosError: the time is over, or `who` ended.
        """
        deadline = time.monotonic() + seconds
        while not done():
            self._show(store)
            if not alive():
                raise TowerosError(f"{who} ended", hint=f"the logs are in {self.logs} and {self.folder / 'machine'}")
            if time.monotonic() > deadline:
                raise TowerosError(f"{who} was not ready within {seconds:.0f} s", hint=f"the logs are in {self.logs}")
            time.sleep(0.5)
        self._show(store)

    def _show(self, store: Store) -> None:
        events = store.events.latest(limit=1000)
        for event in reversed(events[: len(events) - self._seen]):
            style = "yellow" if event.type == "Warning" else "dim"
            self.console.print(f"    [{style}]{event.box or 'controller'}: {event.reason}: {event.message}[/]")
        self._seen = len(events)

    def step(self, what: str, work: Callable[[], object]) -> None:
        """Do a piece of work, and say how long it took."""
        began = time.monotonic()
        with self.console.status(what) if self.console.is_terminal else contextlib.nullcontext():
            self.console.print(f"[bold]{what}[/]")
            work()
        self.console.print(f"  done in {time.monotonic() - began:.1f} s")

    def print(self, outcomes: list[Outcome], started: float) -> None:
        table = Table("commit", "what it did", "rebuilt, and why", "fetched", "to verdict", "downtime", "runs now")
        for row in outcomes:
            mark = "[green]ok[/]" if row.good else "[red]not as expected[/]"
            figures = (f"{row.fetched:,} bytes", f"{row.seconds:.0f} s", f"{row.downtime:.0f} s")
            table.add_row(row.commit[:8], f"{row.expected}: {mark}", row.rebuilt, *figures, row.runs)
        self.console.print(table)
        self.console.print(f"first healthy box after {started:.0f} s; logs: {self.logs}, {self.folder / 'machine'}")
        self.console.print(f"page while it runs: http://127.0.0.1:{self.port('server')}/")


# --- the three commits ------------------------------------------------------------------------------------------------


def take_good(demo: Demo, store: Store, machine: Machine, uptime: "Uptime") -> Outcome:
    """(a) Another greeting."""
    number = store.offers.published(BOX)
    sequence = number.release.sequence if number else 0
    (demo.fleet / GREETING).write_text(f"hello from TowerOS, take {sequence}\n")
    commit, began = demo.commit("A new greeting"), time.monotonic()

    def work() -> None:
        demo.wait(store, lambda: _offered(store, commit), VERDICT, lambda: machine.running, "the box")
        demo.healthy(store, machine)

    demo.step("commit (a): another greeting", work)
    return _outcome(
        demo, store, commit, "taken and kept", time.monotonic() - began, uptime.since(began), _runs(store, commit)
    )


def undo_bad(demo: Demo, store: Store, machine: Machine, uptime: "Uptime") -> Outcome:
    """(b) A greeting that the health check does not accept."""
    before = store.boxes.report(BOX)
    sequence = before.sequence if before else 0
    (demo.fleet / GREETING).write_text(f"goodbye, take {sequence}\n")  # what failed before is not offered again
    commit, began = demo.commit("A bad greeting"), time.monotonic()

    def undone() -> bool:
        report, wanted = store.boxes.report(BOX), store.offers.published(BOX)
        if not (report and before and wanted and _offered(store, commit)):
            return False
        failed = {failure.release for failure in report.failures if failure.verdict == Verdict.FAILED}
        return wanted.document.sha256 in failed and report.release == before.release and report.phase == Phase.IDLE

    demo.step(
        "commit (b): a greeting that the health check refuses",
        lambda: demo.wait(store, undone, VERDICT, lambda: machine.running, "the box"),
    )
    return _outcome(
        demo, store, commit, "undone by the box alone", time.monotonic() - began, uptime.since(began), undone()
    )


def revert(demo: Demo, store: Store, machine: Machine, uptime: "Uptime") -> Outcome:
    """(c) `git revert`: the box runs that already."""
    before = store.boxes.report(BOX)
    run(["git", "-C", demo.fleet, "revert", "--no-edit", "HEAD"])
    commit, began = run(["git", "-C", demo.fleet, "rev-parse", "HEAD"]).decode().strip(), time.monotonic()
    demo.step(
        "commit (c): git revert",
        lambda: demo.wait(store, lambda: _carried_out(store, commit), VERDICT, lambda: machine.running, "the box"),
    )
    report, wanted = store.boxes.report(BOX), store.offers.published(BOX)
    same = bool(report and before and wanted and report.content == wanted.release.content.digest)
    good = same and bool(report and before and report.boot_id == before.boot_id)
    return _outcome(demo, store, commit, "nothing to do", time.monotonic() - began, 0.0, good)


def _outcome(
    demo: Demo, store: Store, commit: str, expected: str, seconds: float, downtime: float, good: bool
) -> Outcome:
    report, done = store.boxes.report(BOX), store.notes.value(f"pass/{commit}") or {}
    why = [f"{step['subject']}: {step['reason']}" for step in done.get("builds", [])]
    rebuilt = "; ".join([*why, f"{done.get('layers', 0)} new layers"]) if done else "nothing"
    fetched = int(report.fetched.get("bytes", 0)) if report and downtime else 0
    runs = f"release {report.sequence}, {report.health}" if report else "unknown"
    return Outcome(commit, expected, rebuilt, fetched, seconds, downtime, runs, good)


def _carried_out(store: Store, commit: str) -> bool:
    return (store.notes.value("planned") or {}).get("commit") == commit


def _offered(store: Store, commit: str) -> bool:
    found = store.offers.published(BOX)
    return found is not None and found.revision.commit == commit


def _runs(store: Store, commit: str) -> bool:
    report, wanted = store.boxes.report(BOX), store.offers.published(BOX)
    return bool(report and wanted and report.release == wanted.document.sha256 and _offered(store, commit))


class Uptime:
    """Asks the box's sample service twice a second, to know how long it was away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._answers: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Uptime":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            if _answers(self._url):
                self._answers.append(time.monotonic())

    def since(self, began: float) -> float:
        """Seconds without an answer since `began` (monotonic), the silence of this moment included."""
        known = [*self._answers, time.monotonic()]
        return sum(
            after - before for before, after in itertools.pairwise(known) if after > began and after - before > GAP
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own loopback
            return bool(response.read(64))
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError, http.client.HTTPException):
        return False
