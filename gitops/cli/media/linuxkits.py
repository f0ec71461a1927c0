"""LinuxKit's words that are none of ours: what is done in their place.

In: a command line that was not understood. Out: a sentence, and what to type. Rules: what changes nothing here is said
to be left out; what is done by another program is shown as one would type it.

    instead(["assemble", "x.yml", "--pull"]).message      # "--pull: nothing is pulled here, ..."
"""

from collections.abc import Mapping, Sequence

from gitops.errors import TowerosError

LEAVE = "leave it out"
COPY = "`skopeo copy docker://NAME oci:FOLDER:NAME` puts an image into a folder"
QEMU = "start what was assembled by qemu-system-x86_64 itself: a kernel, an initrd and a line, or a disk"

WORDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "assemble": {
        "--pull": ("nothing is pulled here, images are taken as they lie in --images", COPY),
        "--decompress-kernel": ("a kernel for amd64 unpacks itself", LEAVE),
        "--sbom-current-time": ("the list has a fixed time, so that the same images give the same bytes", LEAVE),
        "--disable-content-trust": ("no name is trusted here, every image is compared with its digest", LEAVE),
    },
    "run": {
        "--arch": ("every machine is x86_64", LEAVE),
        "--containerized": ("QEMU is the host's", "leave it out; `apt-get install qemu-system-x86` brings it"),
        "--detached": ("the machine's console is this terminal", "end the line with `</dev/null >console.log &`"),
        **dict.fromkeys(("--device", "--usb", "--virtiofs"), ("there is no word for such hardware", QEMU)),
    },
    "cache": {
        "pull": ("what is pulled is named by a fleet repo", f"{COPY}, `toweros cache import FOLDER` takes it"),
        "push": (
            "packages are published by `toweros pkg push`",
            "for others: `toweros cache export NAME --outfile FOLDER/`, then `skopeo copy oci:FOLDER:NAME docker://NAME`",
        ),
        "--cache": (
            "the cache is the controller's store",
            "say --state; LinuxKit's is read by `toweros assemble SPEC.yml --cache FOLDER`",
        ),
        "--published-only": ("no registry is asked", "leave it out: what boxes are asked to run stays anyway"),
    },
}
"""Verb -> word -> why it is not one of ours, and what to type."""
TWO_DASHES = ("assemble", "run")
"""Verbs whose options have more than a letter, where older LinuxKits took one dash."""


def instead(words: Sequence[str]) -> TowerosError | None:
    """What to say of a command line with a word of LinuxKit's; None: there is none in it."""
    verb = next((word for word in words if not word.startswith("-")), "")
    for word in words[words.index(verb) + 1 :] if verb in WORDS else ():
        name = word.partition("=")[0]
        if name in WORDS[verb]:
            why, hint = WORDS[verb][name]
            return TowerosError(f"{name}: {why}", hint=hint)
        if verb in TWO_DASHES and name[:1] == "-" and name[1:2].isalpha() and len(name) > 2:
            return TowerosError(f"{name} is taken for several options of one letter", hint=f"two dashes: -{name}")
    return None
