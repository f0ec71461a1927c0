"""A release: its content alone decides whether a box changes; its document is what is signed."""

from dataclasses import fields, replace

from gitops.model import BlobRef, BootFiles, Content, HealthSpec, Layer, Mounted, Release

BASE, OWN, TOP = (Layer(letter * 64, 4096) for letter in "abc")
CONTENT = Content(
    BlobRef("1" * 64, 10),
    BlobRef("2" * 64, 20),
    "quiet",
    (BASE,),
    (Mounted("services/a", "rootfs", (BASE, OWN)),),
    HealthSpec(),
)


def test_sequence_and_box_change_the_document_and_not_the_content() -> None:
    release = Release("demo-1", 7, CONTENT)
    for other in (replace(release, sequence=8), replace(release, box="demo-2")):
        assert other.digest != release.digest and other.content.digest == release.content.digest


def test_every_part_of_the_content_counts() -> None:
    changes = {
        "kernel": BlobRef("3" * 64, 10),
        "initrd": BlobRef("3" * 64, 20),
        "cmdline": "quiet panic=5",
        "root": (TOP,),
        "containers": (Mounted("services/a", "lower", (BASE, OWN)),),
        "health": HealthSpec(9),
        "boot": BootFiles("4" * 64, "5" * 64, "6" * 64),
    }
    assert set(changes) == {field.name for field in fields(Content)}, "a new part is in this list too"
    digests = {replace(CONTENT, **{name: value}).digest for name, value in changes.items()}
    assert len(digests | {CONTENT.digest}) == len(changes) + 1


def test_each_program_of_the_boot_chain_counts_and_where_none_is_named_nothing_is_written() -> None:
    named = [BootFiles(*("45"[place == at] * 64 for place in range(3))) for at in range(4)]
    assert len({replace(CONTENT, boot=each).digest for each in named}) == 4
    assert "boot" not in CONTENT.encode() and "boot" in replace(CONTENT, boot=named[0]).encode()


def test_a_layer_that_several_containers_share_is_named_once_the_root_first() -> None:
    shared = Mounted("services/b", "rootfs", (BASE, OWN, TOP))
    assert Release("demo-1", 7, replace(CONTENT, containers=(*CONTENT.containers, shared))).layers() == (BASE, OWN, TOP)
