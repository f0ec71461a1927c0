"""Dockerfiles as other people write them, built by buildah itself: what one builder alone knows means what it means
there, or is a mistake before anything is built."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from gitops.builders import BuildahBuilder
from gitops.fleet.packages import load_packages
from gitops.model import Image
from gitops.source import FolderTree
from gitops.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

BASE = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n"
STEPS = {
    "a here-document": ('RUN <<EOF\necho "$((1+1))" \\\n  two > /out\n\n# no comment of ours\nEOF\n', "2 two\n"),
    "one that is for a program": ("RUN busybox cat <<A > /out\n$((3+4))\nA\n", "7\n"),
    "one in quotes, with tabs": ("RUN <<-'EOF'\n\tbusybox cat <<'X' >/out\n\t$HOME\n\tX\n\tEOF\n", "$HOME\n"),
    "one with a program of its own": ("RUN <<EOF\n#!/bin/sh -e\necho a > /out\nEOF\n", "a\n"),
    "a text that looks like an instruction": ("RUN <<EOF\nFROM=x; RUN=$FROM\necho $RUN > /out\nEOF\n", "x\n"),
    "a link and a mode": ("COPY --link --chmod=0640 f /f\nRUN busybox stat -c %a%n /f > /out\n", "640/f\n"),
    "texts that are files": (
        "COPY <<EOF /one\nRUN is no instruction here\nEOF\n"
        "ADD --chmod=0600 <<-'A' f <<\"B.txt\" /two/\n\t$HOME \\\n\tA\nb\nB.txt\n"
        "RUN busybox cat /one /two/A /two/B.txt /two/f > /out && busybox stat -c %a%u%n /one /two/* >> /out\n",
        "RUN is no instruction here\n$HOME \\\nb\nf\n6440/one\n6000/two/A\n6000/two/B.txt\n6000/two/f\n",
    ),
    "no network": ("RUN --network=none echo a > /out\n", "a\n"),
    "another shell": ('SHELL ["/bin/sh", "-fc"]\nRUN echo \\\n  "a" > /out\nRUN echo /* >> /out\n', "a\n/*\n"),
    "a cache, which begins with nothing": (
        "RUN --mount=type=cache,target=/c echo a > /c/a\nRUN --mount=type=cache,target=/c busybox ls /c > /out\n",
        "",
    ),
    "a file of the context": ("RUN --mount=type=bind,source=f,target=/t/f busybox cat /t/f > /out\n", "f\n"),
    "a tmpfs and no secret": ("RUN --mount=type=tmpfs,target=/t --mount=type=secret,id=x busybox ls /t > /out\n", ""),
    "arguments of the platform": (
        "ARG TARGETARCH\nARG TARGETOS\nRUN echo $TARGETOS/$TARGETARCH > /out\n",
        "linux/amd64\n",
    ),
}
STAGES = (
    "# syntax=docker/dockerfile:1\nARG BASE\nFROM --platform=$BUILDPLATFORM ${BASE} AS build-amd64\n"
    "RUN echo amd > /out\n"
    "FROM --platform=linux/arm64 nowhere.example/x:1 AS build-arm64\nADD https://nowhere.example/x /\n"
    "FROM build-${TARGETARCH} AS build\nFROM scratch\nCOPY --from=2 /out /a\nCOPY --link --from=build /out /out\n"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store") / "state", migrate=True)


def build(folder: Path, store: Store, dockerfile: str, build_yml: str = "image: a\n") -> Image:
    busybox = shutil.which("busybox")
    assert busybox, "debian-packages.txt has busybox-static"
    arguments = 'buildArgs: ["BASE=@lkt:pkg:../base"]\n'
    for path, text in (
        ("base/build.yml", "image: base\n"), ("base/Dockerfile", BASE), ("a/build.yml", build_yml + arguments),
        ("a/Dockerfile", dockerfile), ("a/f", "f\n"), ("beside/in/g", "g\n"),
    ):  # fmt: skip
        (folder / "pkg" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pkg" / path).write_text(text)
    shutil.copy(busybox, folder / "pkg/base/busybox")
    problems: list[object] = []
    tree = FolderTree(folder)
    packages = load_packages(tree, 1, "linux/amd64", problems)  # type: ignore[arg-type]
    assert not problems
    return BuildahBuilder(store).build(packages["pkg/a"], tree, packages)


def out(store: Store, image: Image, name: str = "out") -> str:
    """A file as the last layer that has it leaves it."""
    for diff_id in reversed(image.layers):
        with tarfile.open(store.blobs.path(diff_id)) as layer:
            if name in layer.getnames():
                file = layer.extractfile(name)
                return file.read().decode() if file else ""
    return "there is none"


@pytest.mark.parametrize("what", STEPS)
def test_a_step_means_what_it_means_to_docker(tmp_path: Path, store: Store, what: str) -> None:
    step, said = STEPS[what]
    assert out(store, build(tmp_path, store, f"ARG BASE\nFROM ${{BASE}}\n{step}")) == said


def test_stages_by_platform_and_only_those_of_ours(tmp_path: Path, store: Store) -> None:
    image = build(tmp_path, store, STAGES)
    assert out(store, image) == out(store, image, "a") == "amd\n"


def test_folders_beside_a_package_and_another_dockerfile(tmp_path: Path, store: Store) -> None:
    (tmp_path / "pkg/a").mkdir(parents=True)
    (tmp_path / "pkg/a/Dockerfile.own").write_text("FROM scratch\nCOPY src/in/g /out\n")
    said = "image: a\ndockerfile: Dockerfile.own\nextra-sources: ['../beside:/src']\n"
    assert out(store, build(tmp_path, store, "nonsense\n", said)) == "g\n"
