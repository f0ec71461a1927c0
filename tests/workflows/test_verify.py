"""The whole chain of a release, offline: what holds is said link by link, and every forged link is named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.boot.uki import make_addon, make_uki
from gitops.errors import TowerosError
from gitops.model import Claim, Content, HealthSpec, Layer, Mounted, Network, Publication, Release
from gitops.model.provenance import LAYER, RELEASE
from gitops.source import Access
from gitops.source.trust.signatures import Trust
from gitops.store.files.verity import root_hash
from gitops.workflows.verify import Believed, Finding, Verification
from tests.kit.console import toweros
from tests.kit.pe import a_pe_file
from tests.kit.people import People
from tests.kit.published import Kit, kit
from tests.kit.trust import Story, following

LINKS = ["tuf", "git", "statement", "release", "uki", "addon", "provenance", "provenance", "layer", "layer"]
FLEET = "GUID of another fleet"


@dataclass
class Chain:
    """A published release that somebody signed in Git."""

    kit: Kit
    story: Story
    publication: Publication

    @property
    def keys(self) -> Path:
        return self.kit.folder / "keys"

    def findings(self, name: str = "demo-1", keys: Path | None = None) -> list[Finding]:
        believed = Believed.of_folder(keys or self.keys, Trust.of_files(self.story.first))
        return list(Verification(self.kit.store.paths.root, believed).of(name))

    def broken(self) -> list[str]:
        return [f"{each.what}: {each.says}" for each in self.findings() if not each.ok]


def layer(kit: Kit, data: bytes) -> Layer:
    file = kit.folder / "new"
    file.write_bytes(data.ljust(8192, b"\0"))
    root = root_hash(file)
    kit.store.layers.add(file, root)
    return Layer(root, 8192)


Change = Callable[[Kit, Publication], Publication]


def chain_of(folder: Path, story: Story, change: Change = lambda _, made: made) -> Chain:
    """Publish what Git has now; `change` is what an attacker does before it is signed into the metadata."""
    here, revision = kit(folder / "kit"), story.source.poll()
    put, sign = here.store.blobs.put, here.signer.sign_boot
    for ref in revision.evidence:
        put(story.store.blobs.read(ref.sha256))
    mounted = (Mounted("services/hello", "rootfs", (layer(here, b"hello"),)),)
    content = Content(put(b"kernel"), put(b"initrd"), "quiet", (layer(here, b"base"),), mounted, HealthSpec(5))
    release = Release("demo-1", 7, content)
    uki, addon = put(sign(a_uki())), put(sign(an_addon(release)))
    made = change(here, Publication(release, revision, put(release.encode()), uki, addon))
    for subject, claim in claims(here, made).items():
        here.store.attestations.write(subject, here.signer.attest(claim.encode()))
    here.publisher.publish([made])
    return Chain(here, story, made)


def claims(kit: Kit, made: Publication) -> dict[str, Claim]:
    """What the builder says, by the subject."""
    assert kit.signer.builders
    fleet, commit = kit.signer.builders.fleet, made.revision.commit
    files = {"release.json": made.document, "uki.efi": made.uki, "addon.efi": made.addon}
    subjects = {name: ref.sha256 for name, ref in files.items()}
    roots = [each.root for each in made.release.layers()]
    found = {root: Claim(LAYER, fleet, commit, {root: root}, {"package": "pkg/hello"}) for root in roots}
    return found | {made.document.sha256: Claim(RELEASE, fleet, commit, subjects)}


def a_uki(kernel: bytes = b"kernel", initrd: bytes = b"initrd", cmdline: str = "quiet") -> bytes:
    return make_uki(a_pe_file(), kernel, initrd, cmdline)


def an_addon(release: Release) -> bytes:
    return make_addon(a_pe_file(), release, "http://10.0.2.2:8080", Network())


@pytest.fixture
def chain(tmp_path: Path, head: Story) -> Chain:
    head.commit("more", "ada")
    return chain_of(tmp_path, head)


def test_every_link_of_a_signed_commit_holds(chain: Chain) -> None:
    findings = chain.findings()
    assert [each.what for each in findings] == LINKS and all(each.ok for each in findings), findings
    assert findings[1].says == f"commit {chain.publication.revision.commit} is signed by ada"
    assert chain.findings(chain.publication.document.sha256) == findings, "a release is named by its digest, too"


def test_a_release_tag_and_its_commit_both_travel(tmp_path: Path, tags: Story) -> None:
    tags.commit("more")
    tags.tag("v1.1.0")
    said = [each.says for each in chain_of(tmp_path, tags).findings() if each.what in ("git", "statement")]
    assert any("is whole, and unsigned" in line for line in said) and "tag 'v1.1.0' is signed by ada" in said
    assert said[-1].startswith("v1.1.0@sha1:") and said[-1].endswith("signed by ada")


def test_nothing_but_the_files_is_needed(tmp_path: Path, chain: Chain) -> None:
    copy, public = tmp_path / "copy", tmp_path / "keys"
    for part in ("repo/metadata", "repo/attestations", "blobs", "layers"):
        shutil.copytree(chain.kit.store.paths.root / part, copy / part)
    public.mkdir()
    for name in ("root.json", "db.crt", "builder.json"):
        shutil.copy(chain.keys / name, public)
    shutil.copy(chain.story.first, public / "allowed_signers")
    done = toweros("verify", "demo-1", "--files", copy, "--keys", public, "-o", "json")
    assert done.exit_code == 0, done.output
    rows = json.loads("[" + f"\n{done.stdout}".rpartition("\n[\n")[2])  # what is before are log lines
    assert [row["what"] for row in rows] == LINKS


def test_a_flipped_byte_in_a_layer_is_found(chain: Chain) -> None:
    root = chain.publication.release.layers()[0].root
    path = chain.kit.store.layers.path(root)
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    assert chain.broken() == [f"layer: {root} is damaged"]


@pytest.mark.parametrize("which", ["document", "uki", "addon"])
def test_a_flipped_byte_in_a_file_is_found(chain: Chain, which: str) -> None:
    path = chain.kit.store.blobs.path(getattr(chain.publication, which).sha256)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (said,) = chain.broken()
    assert "was damaged" in said and said.startswith({"document": "release"}.get(which, which))


def test_metadata_of_another_root_is_refused(tmp_path: Path, chain: Chain) -> None:
    foreign = kit(tmp_path / "foreign", foreign=True)
    (said,) = [each for each in chain.findings(keys=foreign.folder / "keys") if not each.ok]
    assert said.what == "tuf" and "UnsignedMetadata" in said.says


def test_a_uki_of_another_signer_is_refused(tmp_path: Path, head: Story) -> None:
    foreign = kit(tmp_path / "foreign", foreign=True).signer
    chain = chain_of(tmp_path, head, lambda k, p: replace(p, uki=k.store.blobs.put(foreign.sign_boot(a_uki()))))
    (said,) = chain.broken()
    assert said.startswith("uki: no signature of")


def test_a_uki_with_another_kernel_is_refused(tmp_path: Path, head: Story) -> None:
    def change(here: Kit, made: Publication) -> Publication:
        return replace(made, uki=here.store.blobs.put(here.signer.sign_boot(a_uki(b"another"))))

    assert chain_of(tmp_path, head, change).broken() == ["uki: its .linux is not the release's"]


@pytest.mark.parametrize(
    ("uki", "why"),
    [
        (a_uki(initrd=b"initrd" + bytes(2) + b"0707"), "its .initrd goes on behind the release's"),
        (a_uki(cmdline="quiet rdinit=/bin/sh"), "its .initrd goes on behind the release's"),
        (add_sections(a_pe_file(), [Section(".cmdline", b"rdinit=/bin/sh\0"), Section(".linux", b"kernel"),
                                    Section(".initrd", b"initrd")]), "its .cmdline is not the release's"),
    ],
)  # fmt: skip
def test_a_uki_with_other_arguments_or_a_longer_initrd_is_refused(
    tmp_path: Path, head: Story, uki: bytes, why: str
) -> None:
    def change(here: Kit, made: Publication) -> Publication:
        return replace(made, uki=here.store.blobs.put(here.signer.sign_boot(uki)))

    assert chain_of(tmp_path, head, change).broken() == [f"uki: {why}"]


def test_a_uki_of_an_older_controller_has_the_initrd_alone(tmp_path: Path, head: Story) -> None:
    def change(here: Kit, made: Publication) -> Publication:
        parts = [Section(".cmdline", b"quiet\0"), Section(".linux", b"kernel"), Section(".initrd", b"initrd")]
        return replace(made, uki=here.store.blobs.put(here.signer.sign_boot(add_sections(a_pe_file(), parts))))

    # The builder speaks of the UKI that was made first.
    assert [each for each in chain_of(tmp_path, head, change).broken() if each.startswith("uki")] == []


def test_the_addon_of_another_release_is_refused(tmp_path: Path, head: Story) -> None:
    def change(here: Kit, made: Publication) -> Publication:
        other = replace(made.release, sequence=6)
        return replace(made, addon=here.store.blobs.put(here.signer.sign_boot(an_addon(other))))

    assert chain_of(tmp_path, head, change).broken() == ["addon: it names another release than the release"]


def test_a_statement_about_another_commit_is_refused(tmp_path: Path, head: Story) -> None:
    def change(_: Kit, made: Publication) -> Publication:
        return replace(made, revision=replace(made.revision, commit="12" * 20))

    (said,) = chain_of(tmp_path, head, change).broken()
    assert said == f"git: no object of commit {'12' * 20} travels with the release"


def test_a_statement_that_names_somebody_else_is_refused(tmp_path: Path, head: Story) -> None:
    def change(_: Kit, made: Publication) -> Publication:
        return replace(made, revision=replace(made.revision, signers=("ben",)))

    (said,) = chain_of(tmp_path, head, change).broken()
    assert "signed by nobody whom we believe; the controller says, also by ben" in said


def test_an_unsigned_commit_holds_only_where_nobody_is_named(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.source = following(Access(str(story.remote.bare)), tmp_path / "state")
    story.first.write_text("")
    story.commit("source: {sign: none}\n", path="fleet.yaml")
    chain = chain_of(tmp_path, story)
    assert chain.broken() == []
    story.first.write_text(people.allowed("ada"))
    (said,) = chain.broken()
    assert said.startswith("statement: ") and said.endswith("and nobody whom we believe has signed")


def test_somebody_whom_we_do_not_believe_is_named(chain: Chain) -> None:
    chain.story.first.write_text(chain.story.people.allowed("ben"))
    broken = chain.broken()
    assert "signed by an unknown key" in broken[0] and "nobody whom we believe" in broken[1]


def test_what_is_offered_to_nobody_is_an_error_with_a_way_out(chain: Chain) -> None:
    with pytest.raises(TowerosError, match="nothing called demo-9 is offered") as caught:
        chain.findings("demo-9")
    assert "toweros status" in caught.value.hint


def restate(chain: Chain, subject: str, change: Callable[[Claim], Claim]) -> None:
    claim = change(claims(chain.kit, chain.publication)[subject])
    chain.kit.store.attestations.write(subject, chain.kit.signer.attest(claim.encode()))


def test_a_release_or_a_layer_without_provenance_is_found(chain: Chain) -> None:
    release, layer = chain.publication.document.sha256, chain.publication.release.layers()[1].root
    for subject in (release, layer):
        chain.kit.store.attestations.path(subject).unlink()
    assert chain.broken() == [
        "provenance: the release has no provenance",
        f"provenance: layer {layer[:12]} has no provenance",
    ]


def test_provenance_of_another_signer_is_refused(tmp_path: Path, chain: Chain) -> None:
    subject = chain.publication.document.sha256
    foreign = kit(tmp_path / "foreign", foreign=True).signer
    claim = claims(chain.kit, chain.publication)[subject]
    chain.kit.store.attestations.write(subject, foreign.attest(claim.encode()))
    (said,) = chain.broken()
    assert said == "provenance: the provenance of the release: no builder that we believe has signed it"


def test_provenance_of_another_fleet_commit_or_layer_is_refused(chain: Chain) -> None:
    release, layer = chain.publication.document.sha256, chain.publication.release.layers()[0].root
    restate(chain, release, lambda claim: replace(claim, fleet=FLEET))
    restate(chain, layer, lambda claim: replace(claim, subjects={"a" * 64: "a" * 64}))
    broken = chain.broken()
    assert (
        "another fleet's" in broken[0] and f"the provenance of layer {layer[:12]} is about another layer" in broken[1]
    )
    restate(chain, release, lambda claim: replace(claim, commit="d" * 40))
    assert f"at commit {'d' * 40}, which is not that of" in chain.broken()[0]


def test_where_no_builder_is_named_nothing_is_asked(tmp_path: Path, chain: Chain) -> None:
    shutil.copytree(chain.keys, tmp_path / "older")
    (tmp_path / "older" / "builder.json").unlink()
    assert [each.what for each in chain.findings(keys=tmp_path / "older")] == [w for w in LINKS if w != "provenance"]
