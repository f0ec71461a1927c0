"""Scripts for iPXE: whatever a fleet says is a word in them, or is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops.assemble.boot import ipxe
from gitops.errors import AssembleError

WORDS = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=30) | st.sampled_from(
    [
        "||",
        "&&",
        "#",
        "${net0/mac}",
        "a${b",
        "\\",
        "a\\",
        "quiet",
        "x=$y",
        "a#b",
        "",
        "\n",
        "a\nreboot",
        "-",
        "--name",
        "a||b",
    ]
)


def read(script: str, settings: str = "EXPANDED") -> list[list[list[str]]]:
    """Lines, commands, words: as iPXE's `script_exec` and `system` find them (image/script.c, core/exec.c):
    a backslash joins lines, `${...}` is replaced until none is left, a word with `#` first ends the line."""
    lines = []
    for line in script.replace("\\\n", "").split("\n"):
        while "${" in line and "}" in line[line.rindex("${") :]:
            head, tail = line[: line.rindex("${")], line[line.rindex("${") :]
            line = head + settings + tail[tail.index("}") + 1 :]
        commands, words = list[list[str]](), list[str]()
        for word in line.split():
            if word[0] == "#":
                break
            if word in ("||", "&&"):
                commands, words = [*commands, words], []
            else:
                words.append(word)
        lines.append([*commands, words])
    return lines


@given(st.lists(WORDS, min_size=1, max_size=6))
@example(["||", "reboot"])
@example(["${", "}"])
@example(["quiet", "\\"])
@example(["root=a", "#", "b"])
def test_nothing_that_a_fleet_says_breaks_out_of_the_script(words: list[str]) -> None:
    line = " ".join(words)
    try:
        script = ipxe.script("demo-1", 7, "files/k", "files/i", line, "files/e")
    except AssembleError:
        return
    lines = read(script)
    assert [command for each in lines for command in each if command[:1] == ["kernel"]] == [
        ["kernel", "files/k", *line.split(" ")]
    ]
    calm = read(ipxe.script("demo-1", 7, "files/k", "files/i", "quiet", "files/e"))
    assert [[command[:1] for command in each] for each in lines] == [[command[:1] for command in each] for each in calm]


@pytest.mark.parametrize("word", ["||", "&&", "${uuid}", "#b", "b\\", "a\tb", "ä", "a\x00"])
def test_what_ipxe_would_read_as_more_than_a_word_is_refused_by_name(word: str) -> None:
    with pytest.raises(AssembleError) as refused:
        ipxe.script("demo-1", 7, "files/k", "files/i", f"quiet {word}", "files/e")
    assert repr(word.split("\t", maxsplit=1)[0] if "\t" not in word else word) in refused.value.message
    assert "cmdline" in refused.value.hint


def test_words_of_a_kernel_that_look_odd_are_taken() -> None:
    line = "console=ttyS0,115200n8 root=UUID=a#b x=$y a||b module.name=-1 toweros.net=eth0,10.0.2.15/25,10.0.2.2,"
    assert f"kernel files/k {line} || goto again" in ipxe.script("demo-1", 7, "files/k", "files/i", line, "files/e")


def test_in_uefi_the_firmware_gets_the_boxs_esp_as_a_disk_and_starts_what_is_on_it() -> None:
    script = ipxe.script("demo-1", 7, "files/k", "files/i", "quiet", "files/e")
    by_uefi = script[script.index(":uefi") :]
    assert "sanboot --no-describe files/e || goto again" in by_uefi and "kernel" not in by_uefi
