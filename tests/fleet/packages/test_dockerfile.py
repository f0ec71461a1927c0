"""What a Dockerfile takes from outside: read as builders read it, renamed line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.fleet.images.tracked import Tracked, tracked
from gitops.fleet.packages import load_packages
from gitops.fleet.packages.dockerfile import Dockerfile
from tests.kit.fleets import load, package
from tests.simulators.tree import DictTree

A, B = (f"sha256:{letter * 64}" for letter in "ab")
SIBLING = {"BASE": "@lkt:pkg:pkg/base"}


def parse(text: str, **arguments: str) -> Dockerfile:
    return Dockerfile.parse(text.encode(), SIBLING | arguments)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM scratch\n", []),
        ("ARG BASE\nFROM ${BASE}\n", []),
        ("FROM x:1 AS One\nFROM one\nCOPY --from=ONE / /\nCOPY --from=0 / /\n", [("x:1", 1)]),
        ("# FROM y:1\n\nfrom \\\n  # why\n\n  x:1 \\\n as one\n", [("x:1", 3)]),
        ("# escape=`\nFROM `\nx:1\n", [("x:1", 2)]),
        ("ARG V=13\nARG I=debian:${V}\nFROM $I\n", [("debian:13", 3)]),
        ("ARG V=13\nFROM debian:${V}\n", [("debian:13", 2)]),
        ("FROM debian:${V:-13}\n", [("debian:13", 1)]),
        ("ARG V\nFROM debian:12${V:+.1}\n", [("debian:12", 2)]),
        ('ARG V="12"\nFROM debian:${V}\n', [("debian:12", 2)]),
        ("FROM scratch AS build-amd64\nFROM build-${TARGETARCH}\n", []),
        ("FROM scratch AS a-amd64\nFROM x:1 AS a-armv7\nFROM a-$TARGETARCH${TARGETVARIANT}\n", []),
        ("ARG S=\nFROM x${S}:1\n", [("x:1", 2)]),
        ("ARG S=\nFROM x${S:-y}:1${S-z}${S+2}\n", [("xy:12", 2)]),
        ("ARG B=1\nFROM ${A:-x:${B:-2}}\n", [("x:1", 2)]),
        ("FROM ${A:-x:${B:-2}}\n", [("x:2", 1)]),
        ("FROM scratch\nCOPY --chown=0:0 --from=x:1 / /\n", [("x:1", 2)]),
        ("FROM scratch\nRUN --mount=type=bind,from=x:1,target=/m true --from=y:1\n", [("x:1", 2)]),
        (f"FROM h:5000/x@{A}\nFROM h:5000/x@{A}\nFROM x:1@{B}\n", [(f"h:5000/x@{A}", 1), (f"x:1@{B}", 3)]),
        ("FROM scratch\nCOPY --from=late / /\nFROM scratch AS late\n", [("late", 2)]),
        ("\ufeffFROM x:1\n", [("x:1", 1)]),
        ("\ufeff# escape=`\nRUN c:\\\nFROM x:1\n", [("x:1", 3)]),
        ("FROM scratch AS own\nCOPY --from=own / /\n", [("own", 2)]),
        ("FROM scratch\nARG BASE\nFROM ${BASE:-x:1}\n", [("x:1", 3)]),
        ("ARG X=1\nFROM scratch\nARG X\nCOPY --from=x:$X / /\n", [("x:1", 4)]),
        ("FROM scratch\nADD --chown=$U a.tar ${PLACE}/\nADD http/a https.tar /\nADD httpd:/x /\n", []),
    ],
)
def test_images_from_outside_with_their_lines(text: str, found: list[tuple[str, int]]) -> None:
    file = parse(text)
    assert [(each.image, each.line) for each in file.outside] == found and not file.mistakes


def test_an_argument_of_build_yml_counts_more_than_a_default() -> None:
    assert [each.image for each in parse("ARG I=x:1\nFROM ${I}\n", I="y:2").outside] == ["y:2"]
    assert [each.image for each in parse("FROM ${I:-x:1}\n", I="y:2").outside] == ["x:1"], "it is not declared"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("\nFROM ${NOPE}\n", 2, "not given by a build argument"),
        ("FROM\n", 1, "not understood"),
        ("FROM x:1 two three\n", 1, "not understood"),
        ("FROM x:1 AS\n", 1, "not understood"),
        ("FROM http://x\n", 1, "no name of an image"),
        ("FROM --platform=linux/arm64 x:1\n", 1, "boxes are linux/amd64"),
        ("FROM scratch\nCOPY --from=x:\\\n1 / /\n", 2, "goes on in the next line"),
        ("FROM scratch\nONBUILD COPY a /\n", 2, "buildah leaves ONBUILD out"),
        ("# syntax=x\n# escape=`\nRUN c:\\\n", 2, "in line 1 alone"),
        ("FROM scratch\nRUN a \\\\\nb\n", 2, "goes on or not"),
        ("FROM scratch\nRUN a \\\n\x1c#\nb\n", 3, "control character"),
        ("FROM scratch\nCOPY \\\r\r\n--from=x:1 / /\n", 2, "control character"),
        ('FROM scratch\nCOPY --f"rom=1" / /\n', 2, "quotes or escapes"),
        ("FROM scratch\nRUN sh <<'E\\'\n", 2, "does not end"),
        ("FROM scratch\nRUN <<EOF\nFROM x:1\n", 2, "`<<EOF` does not end"),
        ("FROM scratch\nRUN <<EOF\nset -e\n", 2, "`<<EOF` does not end"),
        ("FROM scratch\nCOPY <<EOF /etc/x\nFROM $x\nEOF\n", 2, "holds a `$`, which only some builders fill in"),
        ("FROM scratch\nCOPY <<EOF\nx\nEOF\n", 2, "COPY needs a destination"),
        ("FROM scratch\nADD <<'a b' /x\nx\na b\n", 2, "no name of a file"),
        ("FROM scratch\nCOPY <<.. /x\nx\n..\n", 2, "no name of a file"),
        ("FROM scratch\nCOPY 3<<E /x\nx\nE\n", 2, "no name of a file"),
        ("FROM scratch AS a\nFROM scratch\nCOPY --from=a <<E /x\nx\nE\n", 3, "in no other stage"),
        ("FROM scratch\nRUN <<EOF\n#!/usr/bin/python3\nEOF\n", 2, "another program than a shell"),
        ("FROM scratch\nRUN <<EOF\n" + 4000 * "0123456\n" + 800 * "0123456\n" + "EOF\n", 2, "at most 32768 bytes"),
        ("FROM scratch\nCOPY --parents a /\n", 2, "`--parents` of COPY is not known to buildah"),
        ("FROM scratch\nADD --checksum=sha256:00 a /\n", 2, "not known to buildah"),
        ("FROM scratch\nCOPY --chmod=u+x a /\n", 2, "no octal mode"),
        ("FROM scratch\nRUN --network=host a\n", 2, "builds have no network"),
        ("FROM scratch\nRUN --security=insecure a\n", 2, "not known to buildah"),
        ("FROM scratch\nRUN --mount=type=secret,id=a,required a\n", 2, "know no secrets"),
        ("FROM scratch\nRUN --mount=type=cache,from=scratch,target=/a a\n", 2, "empty at each build"),
        ("FROM scratch\nRUN --mount=type=tape a\n", 2, "no mount of type tape"),
        ("FROM scratch\nRUN --mount=type=bind,FROM=x:1,target=/a a\n", 2, "in small letters"),
        ("", 1, "no stage begins here"),
        ("ARG A=1\n", 1, "no stage begins here"),
        ("FROM scratch\nCPOY a /\n", 2, "`CPOY` is no instruction"),
        ("FROM scratch\n\nADD https://x.example/a /\n", 3, "ADD gets https://x.example/a from elsewhere"),
        ("FROM scratch\nARG U=https://x.example\nADD $U/a b /\n", 3, "from elsewhere"),
        ("FROM scratch\nENV U=https://x.example\nADD ${U}/a /\n", 3, "from elsewhere"),
        ('FROM scratch\nADD ["git@x.example:a.git", "/"]\n', 2, "from elsewhere"),
        ('FROM scratch\nadd --chown=0:0 ["HTTP://web.example/x", "/x"]\n', 2, "from elsewhere"),
        ("FROM scratch\nADD $X/b /\n", 2, "may mean an address"),
        ("FROM scratch\nARG A=x.gz\nCOPY ${A%.gz} /\n", 3, "`${A%.gz}` is not known to buildah"),
        ("FROM scratch\nENV A=1 B='${A#x}' C=${A/x/y}\n", 2, "`${A/x/y}` is not known"),
        ("FROM scratch\nARG A\nARG B=${A-x}\n", 3, "`${A-x}` is not known"),
    ],
)
def test_what_cannot_be_is_a_mistake_with_its_line(text: str, line: int, words: str) -> None:
    (found,) = parse(text).mistakes
    assert (found.line, words in found.message) == (line, True) and found.hint


def test_other_names_leave_every_instruction_where_it_was() -> None:
    text = (
        "FROM --platform=$BUILDPLATFORM \\\n  x:1 AS one\nFROM scratch\n"
        "COPY --from=one a \\\n  b\nCOPY --chmod=1 \\\n  --from=x:1 x:1 /\n"
        "RUN --mount=from=y:2,target=/m echo from=y:2\n"
    )
    assert parse(text).renamed({"x:1": "local:x", "y:2": "local:y"}).decode() == (
        "FROM local:x AS one\n\nFROM scratch\n"
        "COPY --from=one a \\\n  b\nCOPY --chmod=1 \\\n  --from=local:x x:1 /\n"
        "RUN --mount=from=local:y,target=/m echo from=y:2\n"
    )
    hidden = "FROM scratch\nCOPY \\\n# --from=x:1\n--from=x:1 /a /b\n"
    assert parse(hidden).renamed({"x:1": "l:x"}).decode() == "FROM scratch\nCOPY \\\n# --from=x:1\n--from=l:x /a /b\n"
    assert parse("# syntax=x\n# escape=`\nRUN c:\\\nFROM x:1\n").outside[0].line == 4, "as Docker reads it"
    assert parse("FROM scratch AS a-amd64\nFROM a-$TARGETARCH AS b\n").renamed({}) == (
        b"FROM scratch AS a-amd64\nFROM a-amd64 AS b\n"
    ), "buildah has no such argument"


@pytest.mark.parametrize(
    ("step", "lowered"),
    [
        ("COPY --link a /", "COPY  a /"),
        ("COPY --chown=1:1 \\\n --link=true a /", "COPY --chown=1:1 \\\n  a /"),
        ("RUN --network=none a", "RUN  a"),
        ("RUN --mount=type=cache,id=x,target=/c,sharing=locked a", "RUN --mount=type=tmpfs,target=/c a"),
        ("RUN <<EOF\na $b\\\n\n# c\nEOF", 'RUN ["/bin/sh", "-c", "a $b\\\\\\n\\n# c\\n"]\n\n\n\n'),
        ("RUN <<-'EOF'\n\ta\n\tEOF", 'RUN ["/bin/sh", "-c", "a\\n"]\n\n'),
        ("RUN cat <<A <<B\n1\nA\n2\nB", 'RUN ["/bin/sh", "-c", "cat <<A <<B\\n1\\nA\\n2\\nB\\n"]\n\n\n\n'),
        ("RUN <<E\n#!/bin/bash -e\na\nE", 'RUN ["/bin/bash", "-e", "-c", "#!/bin/bash -e\\na\\n"]\n\n\n'),
        ('SHELL ["/x", "-c"]\nRUN <<E\na\nE', 'SHELL ["/x", "-c"]\nRUN ["/x", "-c", "a\\n"]\n\n'),
        (
            'SHELL ["/x", "-c"]\nRUN a \\\n  "b"\nCMD c',
            'SHELL ["/x", "-c"]\nRUN ["/x", "-c", "a   \\"b\\""]\n\nCMD ["/x", "-c", "c"]',
        ),
        ('SHELL ["/x", "-c"]\nRUN ["a"]\nCMD ["b"]', 'SHELL ["/x", "-c"]\nRUN ["a"]\nCMD ["b"]'),
        ("RUN --network=none <<E\na\nE", 'RUN  ["/bin/sh", "-c", "a\\n"]\n\n'),
    ],
)
def test_what_only_some_builders_know_is_written_as_all_know_it(step: str, lowered: str) -> None:
    file = parse(f"FROM scratch\n{step}\nUSER x\n")
    assert file.renamed({}).decode() == f"FROM scratch\n{lowered}\nUSER x\n" and not file.mistakes
    again = Dockerfile.parse(file.renamed({}), {})
    assert not again.uses and not again.mistakes, "and it is not touched again"


def test_a_here_document_of_copy_is_a_file_that_the_build_finds() -> None:
    text = "COPY --link \\\n <<A.conf b <<-'B' /x/\nRUN a\nA.conf\n\t$c\\\n\tB\nADD <<E /y\r\nz\r\nE\r\n"
    file = parse(f"FROM scratch\n{text}USER x\n")
    assert file.texts == {
        ".here-documents/2-1/A.conf": "RUN a\n", ".here-documents/2-2/B": "$c\\\n", ".here-documents/8-1/E": "z\n"
    }  # fmt: skip
    copy, add = [".here-documents/2-1/A.conf", "b", ".here-documents/2-2/B", "/x/"], [".here-documents/8-1/E", "/y"]
    words = ["FROM", "scratch", "COPY", *copy, "ADD", *add, "USER", "x"]
    assert file.renamed({}).decode().split() == words
    assert file.copies == [(2, "b")] and not file.mistakes
    assert file.renamed({}).count(b"\n") == f"FROM scratch\n{text}USER x\n".count("\n"), "every line is where it was"
    chosen = parse("FROM scratch AS a-arm64\nCOPY <<E /x\nx\nE\nFROM scratch AS a-amd64\nFROM a-$TARGETARCH\n")
    assert not chosen.texts and not chosen.mistakes, "of a stage that is not built nothing is asked"


@pytest.mark.parametrize(
    "step", ['RUN echo "a <<EOF"', "RUN a <<<b", 'RUN ["a", "<<EOF"]', "RUN echo $((1<<2))", "CMD a <<b"]
)
def test_what_looks_like_a_here_document_is_none(step: str) -> None:
    assert not parse(f"FROM scratch\n{step}\n").uses and not parse(f"FROM scratch\n{step}\n").mistakes


OTHERS = f"""FROM --platform=$BUILDPLATFORM x:1 AS tool
FROM tool AS build-amd64
RUN a
FROM --platform=linux/arm64 arm:1 AS build-arm64
ADD https://x.example/a /
COPY <<EOF /a
FROM y:1
EOF
FROM build-${{TARGETARCH}} AS build
FROM z@{A}
COPY --from=3 /a /b
COPY --from=build /a /a
"""


def test_a_stage_that_only_another_platform_takes_is_not_built_and_asks_for_nothing() -> None:
    file = parse(OTHERS)
    assert [each.image for each in file.outside] == ["x:1", f"z@{A}"] and not file.mistakes
    assert file.renamed({"x:1": "l:x"}).decode() == (
        "FROM l:x AS tool\nFROM tool AS build-amd64\nRUN a\nFROM scratch AS build-arm64\n\n\n\n\n"
        f"FROM build-amd64 AS build\nFROM z@{A}\nCOPY --from=3 /a /b\nCOPY --from=build /a /a\n"
    ), "numbers of stages and of lines stay"
    chosen = parse("FROM a:1 AS x-amd64\nFROM b:1 AS x-arm64\nFROM scratch\nCOPY --from=x-$TARGETARCH / /\n")
    assert [each.image for each in chosen.outside] == ["a:1"]
    assert b"COPY --from=x-amd64 / /\n" in chosen.renamed({}), "buildah fills no argument in there"
    exact = parse("FROM scratch AS One\nFROM ONE AS two\nRUN --mount=from=TWO,target=/m a\nCOPY --from=one a b\n")
    assert exact.renamed({}) == (
        b"FROM scratch AS One\nFROM One AS two\nRUN --mount=from=TWO,target=/m a\nCOPY --from=One a b\n"
    ), "as buildah compares names; a stage is none for itself"
    assert [each.image for each in parse("FROM a:1 AS x\nFROM b:1 AS y\nFROM x\n").outside] == ["a:1", "b:1"]


@given(st.binary(max_size=300) | st.text("FROM scratch\\\n#--from= ${}:@AS`", max_size=120).map(str.encode))
def test_whatever_it_is_it_is_read_and_without_images_it_is_the_same(data: bytes) -> None:
    file = Dockerfile.parse(data, {})
    assert file.uses or file.renamed({"x": "y"}) == data


TAGGED = package("pkg/a", dockerfile="FROM web.example/debian:13 AS one\nFROM scratch\nCOPY --from=tools:2 / /\n")
LOCK = f"tools:2 {B}\nweb.example/debian:13 {A}\n"


def test_a_tag_needs_a_pin_and_the_pin_is_in_the_key_of_those_on_top_alone() -> None:
    problems: list[object] = []
    tree = DictTree(TAGGED | package("pkg/b"))
    load_packages(tree, 1, "linux/amd64", problems)  # type: ignore[arg-type]
    assert [str(each).partition(";")[0] for each in problems] == [
        "pkg/a/Dockerfile:1:1: web.example/debian:13 can mean another image tomorrow",
        "pkg/a/Dockerfile:3:1: tools:2 can mean another image tomorrow",
    ]
    assert all("toweros lock images.lock" in str(each) for each in problems)
    before = load(tree.with_files({"images.lock": LOCK}))
    after = load(tree.with_files({"images.lock": LOCK.replace(B, A)}))
    assert before["pkg/a"].bases == (f"web.example/debian:13@{A}", f"tools:2@{B}")
    assert [path for path in before if before[path].key != after[path].key] == ["pkg/a"]


def test_the_schedule_sees_tags_of_dockerfiles_beside_those_of_apps() -> None:
    build = "image: b\nbuildArgs: [I=redis:7]\n"
    text = f"ARG I\nFROM ${{I}}\nFROM x:1@{A}\nFROM y@{A}\n"
    files = {"x/docker-compose.yml": "services: {web: {image: 'web:1'}}", "pkg/b/build.yml": build}
    tree = DictTree(TAGGED | files | {"pkg/b/Dockerfile": text, "doc/Dockerfile": "FROM nothing:1\n"})
    assert tracked(tree) == tuple(
        Tracked(*each) for each in (("redis", "7"), ("tools", "2"), ("web", "1"), ("web.example/debian", "13"))
    )


STAGE = "FROM base/os:7f3c AS one\n"
WAYS = {
    "a backslash with blanks after it": "RUN a \\\n    && cd /b \\ \n    && c\n",
    "an instruction that begins in the next line": "RUN \\\n  apk add \\\n  bash \\\n  && true\n",
    "escapes inside of quotes": 'RUN make F="-extldflags \\\\\\"-static\\\\\\""\n',
    "ENV without an equals sign": "ENV COMMIT 7f3c\nRUN git checkout $COMMIT\n",
    "a source from the top": "ADD /one.patch /tmp/\nCOPY .  /go/src/one/\n",
    "find and its backslashes": "RUN for f in $(find -name \\*.ko -exec info {} \\;); do \\\n  cp $f /o; \\\n done\n",
    "a case over lines": "RUN case $(uname -m) in \\\n  x86_64) \\\n a; \\\n ;; \\\n esac\n",
    "a program that was copied": 'FROM scratch\nCOPY --from=one /out /\nRUN busybox rm /bin/sh\nCMD ["/t"]\n',
    "a list over lines": 'ENTRYPOINT []\nENTRYPOINT ["/n", "--p",  "/h", \\\n   "^/(sys|dev)($|/)"]\n',
    "relative places and patterns": "FROM scratch\nCOPY --from=one usr/bin/q-* usr/bin/\nCOPY infile infile\n",
    "a test in brackets": "RUN [ $(uname -m) = aarch64 ] && a || true\n",
    "parts of arguments": "ARG X\nRUN echo ${X:-a} ${X#b} ${X%%c}\n",
    "a working folder of a variable": "WORKDIR $GOPATH/src/one\nRUN a\n",
    "mounts of every kind": "RUN --mount=type=cache,target=/root/.cache --mount=target=. a\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_what_linuxkit_s_own_packages_are_written_like_is_taken(way: str) -> None:
    """Each was found in one of them; the words are ours."""
    file = parse(STAGE + WAYS[way])
    assert file.mistakes == [] and file.barren == [] and [one.image for one in file.outside] == ["base/os:7f3c"]
