"""How `0.1.0.sql` was made: by the store of 0.1.0 itself, whose last commit is 45d1d99.

git worktree add /tmp/old 45d1d99
cd /tmp/old && PYTHONPATH=. python CHECKOUT/tests/golden/store/make.py > CHECKOUT/tests/golden/store/0.1.0.sql

Every table has rows: three boxes of which one was never heard and one went back, a candidate that waits, and the
documents of a controller, its rollout, an operator's hold, its forge, its pulled images and its signed boot files.
"""

import sqlite3
import sys
import tempfile
from pathlib import Path

from gitops.model import (  # type: ignore[attr-defined]
    BlobRef,
    Content,
    Failure,
    Health,
    HealthCheck,
    Image,
    Layer,
    Mounted,
    Publication,
    Release,
    Report,
    Revision,
    sha256,
)
from gitops.store.store import Store

NOW = 1_790_000_000


def publication(box: str, sequence: int, words: str) -> Publication:
    layer, kernel = Layer(sha256(words.encode()), 8192), BlobRef("e" * 64, 9_000_000)
    health = Health(30, (HealthCheck("hello", "http", "http://127.0.0.1:8080/", contains="hello"),))  # type: ignore
    mounted = (Mounted("services/hello", "rootfs", (layer,)),)
    release = Release(box, sequence, Content(kernel, kernel, words, (layer,), mounted, health))
    revision = Revision("main", f"{sequence:040x}", sequence, NOW, f"change {sequence}", ("ada@example",))
    refs = (BlobRef(release.digest, len(release.encode())), BlobRef("b" * 64, 12), BlobRef("c" * 64, 3))
    return Publication(release, revision, *refs)


def report(new: Publication, counter: int, **more: object) -> Report:
    release = new.release
    runs = (release.sequence, new.document.sha256, release.content.digest)
    return Report(release.box, f"boot-of-{release.box}", counter, NOW, "1", *runs, **more)  # type: ignore[arg-type]


def fill(store: Store) -> None:
    store.save_image(Image("toweros/hello:1", "1" * 64, {"Env": ["A=b"]}, ("d" * 64,)))
    store.save_layer("d" * 64, 1, Layer("a" * 64, 4096))
    one, two = (publication(box, 7, "quiet") for box in ("demo-1", "demo-2"))
    three = publication("demo-3", 7, "quiet console=ttyS0")
    for each in (one, two, three):
        store.save_publication(each, f"key-of-{each.release.box}")
    store.save_candidate(publication("demo-2", 8, "quiet 8"), "next-key-of-demo-2")
    rows = [["f" * 64, f"main@sha1:{6:040x}"], *([each.document.sha256, str(each.revision)] for each in (one, two))]
    store.set_value("revisions", {"rows": rows})
    packages = {"pkg/hello": "1" * 64}
    store.set_value("planned", {"commit": f"{8:040x}", "boxes": ["demo-1", "demo-2", "demo-3"], "packages": packages})
    store.set_value(
        "controller", {"revision": str(one.revision), "signers": [], "polled": NOW, "alarms": [], "error": ""}
    )
    store.set_value("held", {"demo-2": "held: ada: disk (since 2026-09-21 14:13 UTC)"})
    store.set_value("suspended", {"demo-2": {"who": "ada", "why": "disk", "since": NOW}})
    store.set_value(
        "forge", {"pulls": {"3": {"head": "9" * 40, "text": "8" * 64, "built": False, "updated": "x", "turn": 1}}}
    )
    store.set_value("app-images", {"registry.example/app@sha256:" + "7" * 64: ["7" * 64, "6" * 64]})
    store.set_value("app-image/" + "7" * 64, {"blobs": [["7" * 64, 400], ["6" * 64, 900]]})
    store.set_value(f"signed:{'5' * 64}:{'4' * 16}", {"sha256": "b" * 64})
    store.set_value("assemble/" + "3" * 64, {"kernel": ["e" * 64, 9_000_000]})
    for box in ("demo-1", "demo-2", "demo-3"):
        store.enroll(box, sha256(box.encode()))
    store.revoke("demo-3")
    store.save_report(report(one, 4, phase="idle", health="Healthy", fetched={"layers": 1}), now=NOW)
    failure = Failure(8, "9" * 64, "failed", "health check hello: status 500", NOW, "a line of the log")
    more = {"failures": (failure,), "error": "no route to host", "degraded": ("service hello",)}
    store.save_report(report(two, 2, phase="fetching", health="Degraded", **more), now=NOW)
    store.add_event("demo-1", "Normal", "Published", "main: the first box goes")
    store.add_event("", "Warning", "Forge", "503")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        fill(store)
        store.close()
        database = sqlite3.connect(Path(folder, "toweros.db"))
        sys.stdout.writelines(f"{line}\n" for line in database.iterdump())


if __name__ == "__main__":
    main()
