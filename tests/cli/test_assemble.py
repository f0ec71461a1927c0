"""`toweros assemble` and `toweros cache` as LinuxKit's people type them: what is read, written, refused."""

import gzip
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.store import Store
from tests.kit import linuxkit, oci
from tests.kit.images import layout, made

TOWEROS = Path(sys.executable).parent / "toweros"
SERVICES = "services: [{name: more, image: 'web:1'}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    linuxkit.system(tmp_path / "oci", kernel=b"K" * 100)
    (tmp_path / "demo.yml").write_text(linuxkit.SPEC)
    (tmp_path / "none.toml").write_text(f'state = "{tmp_path}/nowhere"\n')
    return tmp_path


def toweros(folder: Path, *words: str, stdin: bytes = b"", code: int = 0) -> tuple[bytes, str]:
    env = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": "", "TOWEROS_CONFIG": str(folder / "none.toml")}
    done = subprocess.run([TOWEROS, *words], input=stdin, capture_output=True, cwd=folder, env=env | {"NO_COLOR": "1"})
    said = done.stderr.decode()
    assert "Traceback" not in said and done.returncode == code, said
    return done.stdout, said


def assemble(folder: Path, *words: str, stdin: bytes = b"", code: int = 0) -> tuple[bytes, str]:
    return toweros(folder, "assemble", *words, "--images", "oci", stdin=stdin, code=code)


def names(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made_server:
        threading.Thread(target=made_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made_server.server_port}"
        made_server.shutdown()


def test_specs_come_from_files_stdin_and_servers_and_are_merged_in_this_order(folder: Path, server: str) -> None:
    """Files are named by the last of them: LinuxKit calls what comes from stdin moby."""
    (folder / "top.yml").write_text("kernel: {cmdline: last}\n")
    words = ["demo.yml", f"{server}/top.yml", "-", "--format", "kernel+initrd", "--dir", "out"]
    assemble(folder, *words, stdin=SERVICES.encode())
    assert {path.name for path in (folder / "out").iterdir()} == {"moby-kernel", "moby-initrd.img", "moby-cmdline"}
    assert (folder / "out" / "moby-cmdline").read_bytes() == b"last"
    initrd = gzip.decompress((folder / "out" / "moby-initrd.img").read_bytes())
    assert b"containers/services/web/config.json" in initrd and b"containers/services/more/config.json" in initrd
    assert (folder / ".cache" / "toweros" / "assembled").is_dir() and not (folder / "nowhere").exists()
    _, said = assemble(folder, f"{server}/gone.yml", code=1)
    assert "/gone.yml: the server answers 404" in said
    _, said = assemble(folder, "-", "-", code=1)
    assert "stdin is named more than once" in said


def test_a_dry_run_prints_the_merged_yaml_and_makes_nothing(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    output, _ = toweros(folder, "assemble", "demo.yml", "-", "--dry-run", "-f", "raw-efi", stdin=SERVICES.encode())
    assert b"name: web\n" in output and b"name: more\n" in output and b"note=a" in output
    assert {path.name for path in folder.iterdir()} == before


def test_a_tar_goes_to_stdout_or_to_the_file_that_is_named(folder: Path) -> None:
    output, _ = assemble(folder, "demo.yml")
    assemble(folder, "demo.yml", "--format", "tar", "--out", "a.tar")
    assemble(folder, "demo.yml", "--format", "tar", "--name", "b")
    assert output == (folder / "a.tar").read_bytes() == (folder / "b.tar").read_bytes()
    assert "containers/services/web/config.json" in names(output)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "vdi"], "there is no format vdi"),
        (["--format", "tar,raw-efi", "--out", "x"], "--out is for tar or docker alone"),
        (["--out", "x", "--name", "y"], "--out names one file"),
        (["--format", "tar", "--name", "a/b"], "--name is how file names begin"),
        (["--format", "raw-efi", "--size", "1T"], "--size 1T is no size of a disk"),
        (["--format", "tar", "--sbom-output", "a/b"], "--sbom-output is the name of a file in the root"),
        (["--format", "kernel+squashfs", "--name", "x"], "there is no controller's store"),
        (["--format", "raw-efi", "--tools", "oci"], "oci holds no one image named media-tools"),
        (["--format", "tar", "--out", "/proc/x"], "/proc/x: No such file"),
        (["--format", "tar", "--state", "/proc/x"], "cannot write below /proc/x/assembled"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_type(folder: Path, words: list[str], said: str) -> None:
    _, told = assemble(folder, "demo.yml", *words, code=1)
    assert said in " ".join(told.split()) and "hint:" in told
    if "squashfs" in words[1]:
        assert "toweros build pkg/media-tools" in told and "--tools LAYOUT" in told


def test_linuxkits_own_words_are_taken(folder: Path) -> None:
    """Its flag is --o, its images lie in its cache, and scripts say --docker and --arch."""
    (folder / ".linuxkit").mkdir()
    (folder / "oci").rename(folder / ".linuxkit" / "cache")
    words = ("assemble", "--docker", "--arch", "amd64", "--no-sbom", "--format", "tar", "demo.yml")
    toweros(folder, *words, "--o", "a.tar")
    toweros(folder, *words, "--o", "b.tar", "--input-tar", "a.tar", "--cache", ".linuxkit/cache")
    assert (folder / "a.tar").read_bytes() == (folder / "b.tar").read_bytes() != b""
    for more, said in (
        (("--arch", "arm64"), "--arch arm64 is not one"),
        (("--input-tar", "gone.tar"), "there is no such file"),
        (("--input-tar", "a.tar", "--o", "./a.tar"), "are one file"),
    ):
        assert said in toweros(folder, *words, *more, code=1)[1]
    assert (folder / "a.tar").read_bytes() == (folder / "b.tar").read_bytes()


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("assemble", "demo.yml", "--pull"), "--pull: nothing is pulled here", "skopeo copy docker://NAME"),
        (("assemble", "--decompress-kernel", "demo.yml"), "a kernel for amd64 unpacks itself", "leave it out"),
        (("assemble", "demo.yml", "--sbom-current-time=true"), "the list has a fixed time", "leave it out"),
        (("assemble", "demo.yml", "--disable-content-trust"), "compared with its digest", "leave it out"),
        (("assemble", "demo.yml", "--format", "rpi3"), "there is no format rpi3", "another processor"),
        (("assemble", "-format", "tar", "demo.yml"), "there is no format ormat", "two dashes: --format"),
        (("assemble", "-name", "x", "demo.yml"), "-name is taken for several options", "two dashes: --name"),
        (("run", "qemu", "-mem", "512", "x"), "-mem is taken for several options", "two dashes: --mem"),
        (("run", "qemu", "--arch", "aarch64", "x"), "every machine is x86_64", "leave it out"),
        (("run", "qemu", "x", "--detached"), "console is this terminal", "</dev/null"),
        (("cache", "pull", "web:1"), "pull: what is pulled is named by a fleet repo", "toweros cache import FOLDER"),
        (("cache", "push", "web:1"), "toweros pkg push", "skopeo copy oci:FOLDER:NAME"),
        (("cache", "clean", "--published-only"), "no registry is asked", "leave it out"),
        (("cache", "ls", "--cache", "oci"), "the cache is the controller's store", "SPEC.yml --cache FOLDER"),
    ],
)
def test_linuxkits_words_that_are_none_here_are_told(
    folder: Path, words: tuple[str, ...], said: str, hint: str
) -> None:
    _, told = toweros(folder, *words, code=1)
    first, second = told.splitlines()
    assert said in first and hint in second


def test_a_word_that_is_nobodys_stays_one(folder: Path) -> None:
    assert "No such option: --pul" in toweros(folder, "assemble", "demo.yml", "--pul", code=1)[1]
    assert "No such option: --pull" in toweros(folder, "plan", "--pull", code=1)[1]


def test_an_image_leaves_the_cache_as_the_files_that_are_in_it(folder: Path) -> None:
    """As LinuxKit's `cache export --format filesystem`; what was exported is taken again from stdin."""
    below, above = oci.tar({"bin/one": b"1", "etc/gone": b"x"}), oci.tar({"etc/.wh.gone": b"", "etc/new": b"2"})
    other = made([below, above], pack=gzip.compress)
    layout(folder / "other", {"web.example/web:1": other, "web.example/more:1": made([linuxkit.layer(b"more")])})
    state = ("--state", str(folder / "state"))
    toweros(folder, "cache", "import", "other", *state)
    export = ("cache", "export", other.digest, "--arch", "amd64")
    tar, _ = toweros(folder, *export, "--format", "filesystem", "--outfile", "-", *state)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        held = {info.name: archive.extractfile(info) for info in archive if info.isreg()}
        assert {name: stream.read() for name, stream in held.items() if stream} == {"bin/one": b"1", "etc/new": b"2"}
        assert [info.name for info in archive if info.isdir()] == ["bin", "etc"]
    as_oci, _ = toweros(folder, *export, "--outfile", "-", *state)
    rows = json.loads(toweros(folder, "cache", "ls", "-o", "json", *state)[0])
    digests = [row["digest"] for row in rows]
    _, said = toweros(folder, "cache", "rm", *digests, *state, code=1)
    assert "nobody is here to be asked" in said
    toweros(folder, "cache", "rm", *digests, "--yes", *state)
    assert json.loads(toweros(folder, "cache", "ls", "-o", "json", *state)[0]) == []
    toweros(folder, "cache", "import", "-", *state, stdin=as_oci)
    rows = json.loads(toweros(folder, "cache", "ls", "-o", "json", *state)[0])
    assert [row["digest"] for row in rows] == [other.digest]
    assert "is not one that is assembled" in toweros(folder, *export[:-1], "arm64", "--outfile", "x", *state, code=1)[1]


def test_images_go_from_the_cache_into_a_layout_that_assemble_reads(folder: Path) -> None:
    """A package is there by its reference, an image of others by its digest; what is exported twice is alike."""
    store = Store.open(folder / "state", migrate=True)
    oci.image(store, "toweros/init:1", {"init": b"init"})
    other = made([linuxkit.layer()], config={"Cmd": ["x"]})
    layout(folder / "other", {"web.example/web:1": other})
    state = ("--state", str(folder / "state"))
    toweros(folder, "cache", "import", "other", *state)
    rows = json.loads(toweros(folder, "cache", "ls", "-o", "json", *state)[0])
    assert {row["name"] for row in rows} == {"toweros/init:1", other.digest}
    toweros(folder, "cache", "export", "toweros/init:1", "--outfile", "mine/", *state)
    toweros(folder, "cache", "export", other.digest, "--outfile", "mine/", "--name", "web:1", *state)
    (folder / "mine.yml").write_text("init: ['toweros/init:1']\n" + SERVICES)
    output, _ = toweros(folder, "assemble", "mine.yml", "--images", "mine", *state)
    assert "containers/services/more/lower/bin/one" in names(output)
    first, _ = toweros(folder, "cache", "export", "toweros/init:1", "--outfile", "-", *state)
    toweros(folder, "cache", "export", "toweros/init:1", "--outfile", "one.tar", *state)
    assert first == (folder / "one.tar").read_bytes()
    _, said = toweros(folder, "cache", "export", "gone", "--outfile", "x/", *state, code=1)
    assert "there is no image gone" in said and "toweros/init:1" in said


def test_the_cache_forgets_what_no_box_needs(folder: Path) -> None:
    """What boxes are asked to run stays, however it is asked."""
    from gitops.store.notes.documents import AppImages

    store = Store.open(folder / "state", migrate=True)
    needed, idle = (made([linuxkit.layer(data)]) for data in (b"needed", b"idle"))
    layout(folder / "other", {"a:1": needed, "b:1": idle})
    state = ("--state", str(folder / "state"))
    toweros(folder, "cache", "import", "other", *state)
    store.notes.put(AppImages({f"a@{needed.digest}": (needed.digest.removeprefix("sha256:"),)}))
    _, said = toweros(folder, "cache", "rm", needed.digest, "--yes", *state, code=1)
    assert "is what boxes are asked to run" in said
    assemble(folder, "demo.yml", *state)
    assert list((folder / "state" / "assembled").iterdir())
    toweros(folder, "cache", "clean", *state)
    rows = json.loads(toweros(folder, "cache", "ls", "-o", "json", *state)[0])
    assert [row["digest"] for row in rows] == [needed.digest] and not list((folder / "state" / "assembled").iterdir())


def test_a_format_that_nothing_starts_is_named(folder: Path) -> None:
    assert "there is no " in toweros(folder, "run", "raw-efi", "x", code=1)[1]
    assert "FORMAT is one of kernel+initrd" in toweros(folder, "run", "tar", "x", code=1)[1]
    assert "toweros run vmdk FILE" in toweros(folder, "run", "vmdk", code=1)[1]


def test_without_a_fleet_repo_no_mistake_is_in_one(tmp_path: Path) -> None:
    (tmp_path / "text.yml").write_text("hello\n")
    for spec in ("text.yml", "none.yml", "http://127.0.0.1:1/x.yml"):
        _, told = toweros(tmp_path, "assemble", spec, "--dry-run", code=1)
        assert "1 mistake in the specs" in told, told


def test_a_second_time_nothing_is_made(folder: Path) -> None:
    """Until a file that a spec reads is another one."""
    (folder / "motd").write_text("hello")
    (folder / "top.yml").write_text("files: [{path: etc/motd, source: motd}]\n")
    words = ("demo.yml", "top.yml", "--format", "kernel+initrd", "--dir", "out", "--state", "state", "--no-sbom")
    target = folder / "out" / "top-initrd.img"
    found = []
    for text in ("hello", "hello", "other"):
        if text == "other":
            (folder / "motd").write_text(text)
        time.sleep(0.2)  # what is younger than the clock can tell is not trusted
        assert "out/top-initrd.img" in assemble(folder, *words)[1]
        found.append(target.stat().st_ino)
    assert found[0] == found[1] != found[2]
    assert b"other" in gzip.decompress(target.read_bytes())


def test_what_asks_no_server_and_no_store_loads_neither(folder: Path) -> None:
    """One changed image of twenty costs half a second, of which these were a third."""
    ask = "import sys; from gitops.cli.main import main; sys.argv[0] = 'toweros'\n"
    ask += "try: main()\nexcept SystemExit as end: assert not end.code\n"
    ask += "sys.exit(' '.join({'sqlalchemy', 'requests', 'fastapi'} & sys.modules.keys()) or 0)"
    words = ("assemble", "demo.yml", "--images", "oci", "--no-sbom", "--out", "a.tar", "--state", "state")
    done = subprocess.run([sys.executable, "-c", ask, *words], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "") and names((folder / "a.tar").read_bytes())
