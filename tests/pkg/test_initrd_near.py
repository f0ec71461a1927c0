"""A site's own server, asked by the initrd: first, and no help costs seconds. Real requests, the initrd's own shell."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.initrd import SCRIPT, initrd
from tests.kit.servers import BAD, Plain, files, silent

SHELL = "unshare -m busybox sh"
CALM = """busybox mount -t tmpfs none /etc
network_up() { :; }
arm_watchdog() { :; }
say() { echo "$*" >&2; }
wget() {
	for word; do
		shift
		case $word in -T) late=1 ;; *) [ -n "$late" ] && late= || set -- "$@" "$word" ;; esac
	done
	busybox wget "$@" >/dev/null
}
"""
"""Without this machine's /etc, where a static busybox finds libraries that are not its own; and without -T, of which
Debian 12's dies. So whoever is silent here is left by the initrd's own watch."""
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The update server: it has three files."""
    for name in ("one", "two", "three"):
        (tmp_path / "origin" / "layers").mkdir(parents=True, exist_ok=True)
        (tmp_path / "origin" / "layers" / name).write_text(name * 1000)
    with files(tmp_path / "origin") as (url, asked):
        yield url.rstrip("/"), asked


def fetched(folder: Path, noc: str, server: str, work: str = "", **values: str) -> list[str]:
    """What three fetches brought, a line each, unless there is other work."""
    (folder / "run").mkdir(exist_ok=True)
    values = {"NEAR_WAIT": "1", "NEAR_LOOK": "1"} | values
    each = 'rm -f "$HANDOVER/file"; fetch "/layers/$name" "$HANDOVER/file" && cut -c 1-3 "$HANDOVER/file" || echo none'
    work = work or f"for name in one two three; do {each}; done"
    return initrd(SHELL, folder / "run", CALM + work, NOC=noc.rstrip("/"), SERVER=server, **values).splitlines()


def at_the_site(folder: Path, **served: str) -> Path:
    (folder / "site" / "layers").mkdir(parents=True)
    for name, text in served.items():
        (folder / "site" / "layers" / name).write_text(text)
    return folder / "site"


def test_what_a_site_has_is_asked_of_nobody_else(tmp_path: Path, origin: tuple[str, list[str]]) -> None:
    """One that it lacks is the server's, and the next is asked for at the site again."""
    with files(at_the_site(tmp_path, one="ONE", three="THREE")) as (noc, asked):
        assert fetched(tmp_path, noc, origin[0]) == ["ONE", "two", "THR"]
        assert asked == ["/layers/one", "/layers/two", "/layers/three"]
    assert origin[1] == ["/layers/two"] and not [*(tmp_path / "run").glob("*.near")]


@pytest.mark.parametrize("kind", ["gone", "silent", *BAD])
def test_a_site_s_server_that_is_no_help_is_asked_once(
    kind: str, tmp_path: Path, origin: tuple[str, list[str]]
) -> None:
    """Every wait has an end, also where a byte comes now and then; three layers wait once."""
    if kind == "gone":
        assert fetched(tmp_path, NOWHERE, origin[0]) == ["one", "two", "thr"]
    elif kind == "silent":
        with silent() as url:
            assert fetched(tmp_path, url, origin[0]) == ["one", "two", "thr"]
    else:
        handler: type[Plain] = BAD[kind]
        with files(tmp_path, handler) as (url, asked):
            assert fetched(tmp_path, url, origin[0]) == ["one", "two", "thr"]
            assert {*asked} == {"/layers/one"}
    assert len(origin[1]) == len({*origin[1]}) == 3


def test_a_layer_that_a_site_damaged_comes_from_the_server(tmp_path: Path, origin: tuple[str, list[str]]) -> None:
    """It has the right size; its root hash is another."""
    work = """
    was_here() { :; }; sync() { :; }; fetch_layer() { fetch "/layers/$1" "$2"; }
    with_tree() { [ -f "$1" ] && [ "$(cut -c 1-3 "$1")" = "$2" ]; }
    repair "$HANDOVER/one" one 3000
    cut -c 1-3 "$HANDOVER/one"
    """
    with files(at_the_site(tmp_path, one="ONE" * 1000)) as (noc, _):
        assert fetched(tmp_path, noc, origin[0], work) == ["one"]
    assert origin[1] == ["/layers/one"]


def test_a_release_document_of_somebody_else_at_a_site_is_asked_of_the_server(
    tmp_path: Path, origin: tuple[str, list[str]]
) -> None:
    digest = hashlib.sha256(b"one" * 1000).hexdigest()
    work = f'fetch_exact /layers/one "$HANDOVER/file" {digest} && cut -c 1-3 "$HANDOVER/file"; echo "noc $NOC"'
    with files(at_the_site(tmp_path, one="ONE")) as (noc, _):
        assert fetched(tmp_path, noc, origin[0], work) == ["one", "noc "]


def test_a_site_s_server_serves_where_no_line_leads_to_the_server(tmp_path: Path) -> None:
    with files(at_the_site(tmp_path, one="ONE")) as (noc, _):
        work = 'fetch /layers/one "$HANDOVER/file" && cut -c 1-3 "$HANDOVER/file"'
        assert fetched(tmp_path, noc, NOWHERE, work) == ["ONE"]


def test_nobody_is_waited_for_longer_than_the_watchdog_waits() -> None:
    """A disk gives nothing while a file comes: nobody feeds it meanwhile."""
    sums = "echo $((NEAR_LOOK * NEAR_LOOKS)) $WATCHDOG $NEAR_WAIT"
    said = initrd(SHELL, Path("/nonexistent"), sums).split()
    longest, watchdog, wait = map(int, said)
    assert longest + wait < watchdog


def test_the_package_says_that_it_asks_a_site() -> None:
    """The controller goes by this file: an older initrd refuses a line with the word."""
    assert " near " in (SCRIPT.parent / "Dockerfile").read_text() and (SCRIPT.parent / "near").is_file()
    assert "toweros.noc" in SCRIPT.read_text()
