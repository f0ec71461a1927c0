"""Base images come into the store or do not, and builders are given what they can read; against a real registry."""

import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gitops.builders.bases.fetch import Bases, MissingBaseError
from gitops.builders.bases.lending import name_of, write_archive, write_dockerfile, write_folder
from gitops.errors import BuildError
from gitops.model import Package, canonical, sha256
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.files.importing import import_images
from gitops.oci.image import layers_of
from gitops.oci.registry import Registry
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.collect import collect
from tests.kit.fleets import load, package
from tests.kit.oci import tar
from tests.kit.registry import Pushed, image, pem, sign
from tests.kit.servers import silent
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

ADA = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def there(registry: DockerRegistry) -> Pushed:
    return Pushed(registry.address)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def standing_on(base: str, **files: str) -> tuple[Package, DictTree]:
    tree = DictTree(package("pkg/a", dockerfile=f"FROM {base}\n") | {"fleet.yaml": "{}"} | files)
    return load(tree)["pkg/a"], tree


def test_an_index_is_followed_to_our_machines_and_asked_for_once(
    there: Pushed, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = there.push("debian", "a", b"ours"), there.push("debian", "b", b"theirs", "arm64")
    index = there.index("debian", "13", arm64=theirs, amd64=ours)
    name = f"{there.host}/debian@{index}"
    package, tree = standing_on(name)
    bases = Bases(Settings(), store)
    (found,) = bases.fetch(package, tree).values()
    assert layers_of(found) == (sha256(b"ours"),) and store.blobs.has(index.removeprefix("sha256:"))
    monkeypatch.setattr(Registry, "_ask", lambda *_, **__: pytest.fail("asked again"))
    assert bases.fetch(package, tree) == {name: found}


def test_what_cannot_be_taken_is_this_package_s_and_says_which_image(
    there: Pushed, store: Store, registry: DockerRegistry
) -> None:
    arm = there.push("debian", "arm", b"arm", "arm64")
    alone = there.index("debian", "arms", arm64=arm)
    spoilt = there.push("debian", "bad", b"soon other bytes")
    (data,) = registry.folder.rglob(f"blobs/sha256/*/{sha256(b'soon other bytes')}/data")
    data.write_bytes(b"just other bytes")
    nothing = canonical({"architecture": "amd64", "os": "linux"})
    manifest = json.loads(image(b"x")[0])
    manifest["config"] |= {"digest": f"sha256:{sha256(nothing)}", "size": len(nothing)}
    silent_about_layers = there.put("debian", "no", canonical(manifest), nothing, b"x")
    lying = canonical(json.loads(image(b"x")[1]) | {"rootfs": {"diff_ids": [f"sha256:{'1' * 64}"]}})
    manifest["config"] |= {"digest": f"sha256:{sha256(lying)}", "size": len(lying)}
    of_a_sibling = there.put("debian", "lies", canonical(manifest), lying, b"x")
    for digest, said in {
        of_a_sibling: "is not what its config says",
        arm: "is an image for linux/arm64, not for linux/amd64",
        alone: "has no image for linux/amd64",
        spoilt: "is not what its digest says",
        silent_about_layers: "does not say what its layers are",
        f"sha256:{'0' * 64}": "404",
    }.items():
        name = f"{there.host}/debian@{digest}"
        with pytest.raises(MissingBaseError, match=said) as caught:
            Bases(Settings(), store).fetch(*standing_on(name))
        assert caught.value.message.startswith(f"pkg/a/Dockerfile:1: base image {name} cannot be had: ")
        assert caught.value.transient and caught.value.hint, "the package may be good: nothing is held for it"
    with pytest.raises(MissingBaseError, match="no registry is named") as caught:
        Bases(Settings(), store).fetch(*standing_on(f"debian@{arm}"))
    assert "image import" in caught.value.hint


def test_a_registry_that_says_nothing_is_outwaited(store: Store) -> None:
    began = time.monotonic()
    with silent() as url, pytest.raises(MissingBaseError, match="no answer within"):
        base = f"{url.split('/')[2]}/debian@sha256:{'0' * 64}"
        Bases(Settings(), store, longest=0.3).fetch(*standing_on(base))
    assert time.monotonic() - began < 5


def test_a_tag_must_be_signed_where_there_are_keys_and_a_digest_need_not(there: Pushed, store: Store) -> None:
    digest = there.push("signed/debian", "13", b"a system")
    name, key = f"{there.host}/signed/debian", {"keys/cosign/ada.pub": pem(ADA).decode()}
    by_tag = standing_on(f"{name}:13", **key, **{"images.lock": f"{name}:13 {digest}\n"})
    bases = Bases(Settings(), store)
    assert bases.fetch(*standing_on(f"{name}@{digest}", **key)), "a person wrote it"
    with pytest.raises(MissingBaseError, match="is not signed"):
        bases.fetch(*by_tag)
    sign(there.host, "signed/debian", digest.removeprefix("sha256:"), ADA)
    assert bases.fetch(*by_tag)


def test_thirty_packages_on_one_digest_fetch_it_once_and_keep_it_while_one_of_them_is_left(
    registry: DockerRegistry, there: Pushed, store: Store
) -> None:
    image = there.push("shared/debian", "13", b"of thirty")
    index = there.index("shared/debian", "all", amd64=image)
    base = f"FROM {there.host}/shared/debian@{index}\n"
    tree = DictTree({"fleet.yaml": "{}"})
    for number in range(30):
        tree = tree.with_files(package(f"pkg/p{number}", dockerfile=base))
    packages = load(tree)
    before = registry.log.read_text().count("GET /v2/shared/debian/")
    bases = Bases(Settings(), store)
    found = {next(iter(bases.fetch(each, tree).values())) for each in packages.values()}
    assert registry.log.read_text().count("GET /v2/shared/debian/") - before == 4, "index, manifest, config, layer"
    (only,) = found
    for path in store.paths.root.rglob("*"):
        os.utime(path, (0, 0))
    assert collect(store, [packages["pkg/p7"]], now=10_000, grace=1000).files == 0
    assert store.blobs.has(only.layers[0].sha256) and store.blobs.has(index.removeprefix("sha256:"))
    assert collect(store, [], now=10_000, grace=1000).files == 4
    assert bases.fetch(packages["pkg/p7"], tree), "fetched again"


def test_a_base_out_of_a_folder_needs_no_registry(store: Store, tmp_path: Path) -> None:
    (manifest, config), layer = image(b"a layer"), b"a layer"
    blobs = tmp_path / "layout/blobs/sha256"
    blobs.mkdir(parents=True)
    for data in (manifest, config, layer):
        (blobs / sha256(data)).write_bytes(data)
    about = {"digest": f"sha256:{sha256(manifest)}", "annotations": {"org.opencontainers.image.ref.name": "any"}}
    (tmp_path / "layout/index.json").write_text(json.dumps({"manifests": [about]}))
    import_images(Elsewhere(Settings(), store), store, str(tmp_path / "layout"))
    name = f"debian:13@sha256:{sha256(manifest)}"
    assert Bases(Settings(), store).fetch(*standing_on(name)).keys() == {name}


def test_builders_are_given_the_very_bytes_under_one_name(there: Pushed, store: Store, tmp_path: Path) -> None:
    digest = there.push("debian", "lent", b"lent")
    name = f"{there.host}/debian:lent@{digest}"
    (found,) = Bases(Settings(), store).fetch(*standing_on(name)).values()
    assert name_of(name) == f"localhost/toweros:base-{digest.removeprefix('sha256:')}"
    write_folder(store, found, tmp_path / "dir")
    manifest = json.loads((tmp_path / "dir/manifest.json").read_bytes())
    config = json.loads((tmp_path / "dir" / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
    assert manifest["layers"] == json.loads(found.manifest)["layers"]
    history = config.pop("history")
    assert history == [{"created_by": f"base {digest} 0"}] and config == json.loads(found.config)
    assert (tmp_path / "dir" / sha256(b"lent")).read_bytes() == b"lent"
    write_archive(store, found, "local:x", tmp_path / "saved.tar")
    with tarfile.open(tmp_path / "saved.tar") as saved:
        files = {member.name: (saved.extractfile(member) or pytest.fail()).read() for member in saved}
    assert files["0.tar"] == b"lent" and files["config.json"] == canonical(config | {"history": history})
    (about,) = json.loads(files["manifest.json"])
    assert about == {"Config": "config.json", "RepoTags": ["local:x"], "Layers": ["0.tar"]}


def test_nothing_that_an_image_says_of_how_it_was_made_is_lent(there: Pushed, store: Store, tmp_path: Path) -> None:
    """It is what a builder's cache compares; the Docker engine's reads `container_config`."""
    layer = tar({"etc/file": b"theirs"})
    manifest, config = image(layer)
    step = "/bin/sh -c #(nop) COPY dir:1 in / "
    said = {"history": [{"created_by": step}], "container_config": {"Cmd": [step]}, "parent": "x"}
    inside = {"Env": ["A=b"], "Image": "x"}
    spoilt = canonical(json.loads(config) | said | {"config": inside})
    about = {**json.loads(manifest)["config"], "digest": f"sha256:{sha256(spoilt)}", "size": len(spoilt)}
    digest = there.put("debian", "says", canonical(json.loads(manifest) | {"config": about}), spoilt, layer)
    (found,) = Bases(Settings(), store).fetch(*standing_on(f"{there.host}/debian@{digest}")).values()
    write_folder(store, found, tmp_path / "dir")
    write_archive(store, found, "local:x", tmp_path / "saved.tar")
    named = json.loads((tmp_path / "dir/manifest.json").read_bytes())["config"]["digest"].removeprefix("sha256:")
    lent = json.loads((tmp_path / "dir" / named).read_bytes())
    with tarfile.open(tmp_path / "saved.tar") as saved:
        assert json.load(saved.extractfile("config.json") or pytest.fail()) == lent
    kept = {"config": {"Env": ["A=b"]}, "history": [{"created_by": f"base {digest} 0"}]}
    assert lent == json.loads(config) | kept


def test_a_dockerfile_is_lent_with_our_names_or_not_at_all(tmp_path: Path) -> None:
    base, ours = f"debian@sha256:{'a' * 64}", f"localhost/toweros:base-{'a' * 64}"
    package, tree = standing_on(base)
    lent = write_dockerfile(package, tree, tmp_path, tmp_path / "Dockerfile")
    assert lent and lent.read_text() == f"FROM {ours}\n"
    decoy = f"FROM scratch\nCOPY --chown=from={base} --from={base} / /\n"
    for text, said in ((decoy, "3: .* is not replaced"), ("RUN a \\\\\n", "2: .* goes on or not")):
        spoilt = tree.with_files({"pkg/a/Dockerfile": f"FROM {base}\n{text}".replace("FROM scratch\n", "RUN a\n")})
        with pytest.raises(BuildError, match=f"pkg/a/Dockerfile:{said}"):
            write_dockerfile(package, spoilt, tmp_path, tmp_path / "Dockerfile")


def test_a_base_with_steps_for_others_is_refused(there: Pushed, store: Store) -> None:
    layer = tar({"etc/file": b"theirs"})
    manifest, config = image(layer)
    for member in ("OnBuild", "onbuild"):
        spoilt = canonical(json.loads(config) | {"config": {member: ["COPY --from=x:1 / /"]}})
        about = {**json.loads(manifest)["config"], "digest": f"sha256:{sha256(spoilt)}", "size": len(spoilt)}
        digest = there.put("debian", member, canonical(json.loads(manifest) | {"config": about}), spoilt, layer)
        with pytest.raises(MissingBaseError, match="ONBUILD"):
            Bases(Settings(), store).fetch(*standing_on(f"{there.host}/debian@{digest}"))


def test_a_here_document_of_copy_lies_in_the_context_whatever_is_ignored(tmp_path: Path) -> None:
    """Whatever the umask is; and `.dockerignore` has no say in what Git does not have."""
    package, tree = standing_on(f"debian@sha256:{'a' * 64}")
    written = tree.with_files({"pkg/a/Dockerfile": "FROM scratch\nCOPY <<E /etc/\nhello\nE\n"})
    (tmp_path / ".dockerignore").write_text("*")
    before = os.umask(0o077)
    try:
        lent = write_dockerfile(package, written, tmp_path, tmp_path / "Dockerfile")
    finally:
        os.umask(before)
    assert lent and lent.read_text().split("\n")[1] == "COPY .here-documents/2-1/E /etc/"
    file = tmp_path / ".here-documents/2-1/E"
    assert file.read_text() == "hello\n" and file.stat().st_mode & 0o777 == 0o644
    assert [each.stat().st_mode & 0o777 for each in (file.parent, file.parent.parent)] == [0o755, 0o755]
    assert (tmp_path / ".dockerignore").read_text() == "*\n!.here-documents\n!.here-documents/**\n"
