"""What planning a large fleet costs after a one-line commit, as a ratio to what Git does with that repository.

In: nothing; a fleet repo of 1,000 boxes x 20 packages is made in a temporary folder, by the real git. Out: seconds and
memory of the plan in this process (base and head loaded and compared, summary made): with nothing known, and with the
base known, as in a controller; of the whole `toweros plan` command with its start; and of `git ls-remote` and `git
diff` on the same repository in the same run. Seconds of wall clock and of processor.

    python bench/plan.py [--boxes 1000] [--packages 20]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BOXES, PACKAGES, ROUNDS = 1000, 20, 7
FIXED = ("kernel", "init", "initrd", "bootloader", "toolbox")
WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
TOWEROS = Path(sys.executable).with_name("toweros")


def make(folder: Path, boxes: int, packages: int) -> None:
    """A fleet repo whose second commit changes one line of one package."""
    services = [f"service-{number:02}" for number in range(packages - len(FIXED))]
    files = {"fleet.yaml": "source: {branch: main}\n", "keys/root.json": "{}\n", "keys/authorized_keys": "ada\n"}
    for name in (*FIXED, *services):
        files[f"pkg/{name}/build.yml"] = f"image: {name}\n"
        files[f"pkg/{name}/Dockerfile"] = "FROM scratch\nCOPY file /file\n"
        files[f"pkg/{name}/file"] = f"{name}\n"
    entries = "".join(f'  - {{name: {name}, image: "@pkg:../pkg/{name}", net: host}}\n' for name in services)
    head = 'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\nservices:\n'
    files["boot/all.yml"] = head + entries
    for number in range(10):
        files[f"roles/role-{number}.yaml"] = "boot: [boot/all.yml]\n"
    for number in range(boxes):
        own = f'files:\n  - {{path: /etc/motd, contents: "box {number}\\n"}}\n'
        files[f"boxes/box-{number:04}.yaml"] = f"role: role-{number % 10}\nnetwork: {{dhcp: true}}\n{own}"
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, *WHO, "commit", "-qm", "one")
    (folder / "pkg" / services[0] / "file").write_text("one line\n")
    git(folder, *WHO, "commit", "-qam", "two")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


Figure = tuple[float, float]


def median(work: Callable[[], object], rounds: int = ROUNDS) -> Figure:
    """Median wall-clock and mean processor seconds (children included) of one round."""
    walls, before = [], processor()
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        walls.append(time.perf_counter() - start)
    return statistics.median(walls), (processor() - before) / rounds


def processor() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Measure all in one run, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=BOXES)
    parser.add_argument("--packages", type=int, default=PACKAGES)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "fleet"
        make(folder, words.boxes, words.packages)
        measure(folder)


def measure(folder: Path) -> None:
    """The figures of one repository."""
    from gitops.fleet.cache import PARSED
    from gitops.model import Action
    from gitops.source.clone.commits import LocalClone
    from gitops.workflows.preview import Question, preview

    def plan() -> None:
        clone = LocalClone(folder)
        base, head = clone.revision("HEAD~1"), clone.revision("HEAD")
        summary = preview(Question((base, clone.tree(base)), (head, clone.tree(head)), named=True), None)
        assert summary.count(Action.UPDATE) >= 1 and len(summary.groups) == 1

    def first() -> None:
        PARSED.clear()
        plan()

    command = [TOWEROS, "plan", "-C", folder, "--base", "HEAD~1", "--head", "HEAD", "--state", folder / "none"]
    rows = {"plan, first": median(first), "plan, again": median(plan)}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows["toweros plan"] = median(lambda: subprocess.run(command, check=True, capture_output=True), 3)
    asked = rows["git ls-remote"] = median(lambda: git(folder, "ls-remote", str(folder)))
    compared = rows["git diff"] = median(lambda: git(folder, "diff", "HEAD~1", "HEAD"))
    for name, (wall, used) in rows.items():
        ratio = f"{wall / asked[0]:8.1f} x ls-remote {wall / compared[0]:8.1f} x diff"
        print(f"{name:14} {wall * 1000:8.1f} ms wall {used * 1000:8.1f} ms processor {ratio}")
    print(f"{'memory':14} {memory:8.1f} MiB at most")


if __name__ == "__main__":
    main()
