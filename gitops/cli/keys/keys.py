"""`toweros keys`: init, status, export; rotate, renew; make, sign, import for roots whose keys are in many places."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption
from gitops.cli.keys import deployments, firmware, hosts, token_keys
from gitops.cli.keys.passphrase import PassphraseOption, passphrase
from gitops.cli.keys.token_keys import KeyOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.errors import SettingsError, SignError, TowerosError
from gitops.files.named import named
from gitops.fleet.system_files import ROOT_JSON
from gitops.settings import Settings
from gitops.sign import keys, ssh
from gitops.sign.commits import CommitKey
from gitops.sign.firmware import renewal
from gitops.sign.keys import SECURITY, KeyState, KeyStatus
from gitops.sign.receipts import Receipts
from gitops.sign.roots import draft as drafts
from gitops.sign.roots import rotation, spare
from gitops.sign.roots.standing import behind
from gitops.sign.tokens.held import HeldEd25519, HeldRsa
from gitops.sign.tuf import ONLINE
from gitops.workflows.question import deployed_point

ROLES = "root, targets, snapshot, timestamp, builder, security, receipts, KEK, db, ssh-ca or record"
KeysArgument = Annotated[Path | None, typer.Argument(help="The keys folder (default: the setting `keys`).")]
PublicOption = Annotated[Path | None, typer.Option("--public", help="The fleet repo's keys/: gets the public halves.")]
LostOption = Annotated[
    list[str] | None,
    typer.Option("--lost", metavar="ID", help="A root key that nobody has: with too few left, refused."),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The keys that boxes trust.", no_args_is_help=True)
    group.command()(init)
    group.command()(status)
    group.command()(export)
    group.command()(audited("keys.rotate", "role")(rotate))
    group.command()(audited("keys.retire", "name", "without", unless=("dry",))(firmware.retire))
    group.command()(audited("keys.renew")(renew))
    group.command()(audited("keys.move", "file")(token_keys.move))
    group.command("ssh-ca")(hosts.ssh_ca)
    group.command("ssh-user-ca")(hosts.ssh_user_ca)
    group.command("record")(deployments.show)
    group.command()(make)
    group.command()(sign)
    group.command("import")(audited("keys.import", "draft")(take))
    app.add_typer(group, name="keys")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, never in Git.")],
    root_keys: Annotated[int, typer.Option(help="How many root keys to make.")] = 1,
    threshold: Annotated[int, typer.Option(help="How many of them must sign a new root.")] = 1,
    passphrase_file: PassphraseOption = None,
    public: PublicOption = None,
) -> None:
    """Make all keys: TUF root, targets, snapshot, timestamp; the builder's; Secure Boot PK, KEK, db."""
    keys.init(folder, passphrase(passphrase_file, new=True), root_keys=root_keys, threshold=threshold, public=public)
    allowed = CommitKey.open(folder).allowed
    for risk in spare.risks(folder)[: 1 if root_keys == 1 or threshold in (1, root_keys) else 0]:
        talk.say("note:", "yellow", f"{risk.what}: {risk.fix}")
    talk.print(f"keys are in {folder}; back it up, then take {folder / 'root'} offline (`toweros keys status`)")
    talk.print("for security updates (docs/updates.md), a line of the fleet repo's keys/allowed_signers:")
    talk.print(allowed)


def status(
    folder: KeysArgument = None,
    public: Annotated[Path | None, typer.Option("--public", help="The fleet repo's keys/ (default: deployed).")] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Where every key is, when it ends, what to back up; and whether the fleet repo knows the newest root."""
    place = folder or context.settings(config).keys
    rows = keys.status(place, datetime.now(UTC))
    ours = _controller_of(place, config)
    theirs = _in_fleet(public) if public else _deployed(ours) if ours else None
    if theirs and (problem := behind(place, theirs)):
        rows.append(KeyStatus("keys/root.json", "TUF root", "the fleet repo", 0, KeyState.BEHIND, problem))
    cells = [[row.name, row.kind, row.place, _day(row.expires), row.state, row.backup] for row in rows]
    heads = ["KEY", "KIND", "PLACE", "ENDS", "STATE", "BACK UP"]
    emit([row.as_json() for row in rows], output, lambda: table(heads, cells))
    for sentence in [*keys.warnings(rows), *(f"{risk.what}: {risk.fix}" for risk in spare.risks(place))]:
        talk.say("warning:", "yellow", sentence)
    for sentence in firmware.progress(place, config) if ours else ():
        talk.print(sentence)


def _controller_of(place: Path, config: Path | None) -> Settings | None:
    """The settings of the controller whose keys these are; a keys folder may be looked at where there are none."""
    try:
        settings = context.settings(config)
    except SettingsError:
        if config:
            raise
        return None
    return settings if place == settings.keys else None


def export(
    public: Annotated[Path, typer.Argument(metavar="DIR", help="The fleet repo's keys/.")],
    folder: KeysArgument = None,
    config: ConfigOption = None,
) -> None:
    """Copy the public halves to the fleet repo, to be committed."""
    keys.export(folder or context.settings(config).keys, public)
    talk.print(f"the public halves are in {public}; commit them")


def rotate(
    role: Annotated[str, typer.Argument(help=f"{ROLES}.")],
    folder: KeysArgument = None,
    passphrase_file: PassphraseOption = None,
    public: PublicOption = None,
    root_key: Annotated[list[Path] | None, typer.Option(help="root: a public half of `toweros keys make`.")] = None,
    root_keys: Annotated[int, typer.Option(help="root: how many keys to make here (default: as many as now).")] = 0,
    key: KeyOption = None,
    threshold: Annotated[int, typer.Option(help="root: how many must sign the next one (default: as now).")] = 0,
    lost: LostOption = None,
    config: ConfigOption = None,
) -> None:
    """A new key for a role, named by a new root; boxes learn it by the next refresh. (The last six: no root.)"""
    place = folder or context.settings(config).keys
    if role == "builder":
        return _rotate_builder(place, public, token_keys.one(key, place, HeldEd25519, role))
    if role == SECURITY:
        return _rotate_security(place, token_keys.one(key, place, HeldEd25519, role))
    if role == "receipts":
        if key:
            raise SettingsError("the receipts' key is in the store, for all servers", hint="leave --key out")
        Receipts.rotated(context.known_store(config))
        return talk.print("receipts rotated; the controller's next pass names the new key to boxes")
    if role == ssh.NAME:
        return hosts.rotate(place, token_keys.one(key, place, HeldEd25519, role))
    if role == deployments.NAME:
        return deployments.rotate(place, token_keys.one(key, place, HeldEd25519, role))
    if role in renewal.SIGNERS:
        return firmware.rotate(place, role, public, token_keys.one(key, place, HeldRsa, role))
    if role not in ("root", *ONLINE):
        raise SettingsError(f"there is no role {role}", hint=ROLES)
    spare.refuse_hopeless(place, lost or [])
    makes = role == "root" and bool(root_keys or not (root_key or key))
    lock = token_keys.unlocking(place, passphrase_file, makes=makes)
    wanted = rotation.RootKeys(root_keys, tuple(root_key or ()), threshold, token_keys.several(key, place, role))
    _settled(place, public, rotation.rotate(place, role, lock, datetime.now(UTC), wanted))


def renew(
    folder: KeysArgument = None,
    passphrase_file: PassphraseOption = None,
    public: PublicOption = None,
    lost: LostOption = None,
    config: ConfigOption = None,
) -> None:
    """The root with the same keys for two more years."""
    place = folder or context.settings(config).keys
    spare.refuse_hopeless(place, lost or [])
    _settled(place, public, rotation.renew(place, token_keys.unlocking(place, passphrase_file), datetime.now(UTC)))


def make(
    file: Annotated[Path, typer.Argument(help="The new root key; FILE.pub is its public half.")],
    passphrase_file: PassphraseOption = None,
    key: Annotated[str, typer.Option(help=token_keys.HELP)] = "",
) -> None:
    """A root key on a machine of its own: FILE stays, FILE.pub goes to `toweros keys rotate root --root-key FILE`."""
    if key:
        half = rotation.make_key(file, b"", token_keys.several([key], file.parent, "root")[0])
    else:
        half = rotation.make_key(file, passphrase(passphrase_file, new=True))
    talk.print(f"{file} stays here, and in a backup; {half} is for the others")


def sign(
    draft: Annotated[Path, typer.Argument(help="next.root.json, or a copy of it.")],
    key: Annotated[str, typer.Option(help="A root key: a file, or the URI of one in a token (pkcs11:...).")],
    passphrase_file: PassphraseOption = None,
) -> None:
    """Add a signature to a new root, on any machine. Compare the digest with the others before."""
    signed = rotation.sign_file(draft, token_keys.root_key(key, passphrase_file))
    for line in drafts.words(signed):
        typer.echo(line)


def take(
    draft: Annotated[Path, typer.Argument(help="What came back from `toweros keys sign`.")],
    folder: KeysArgument = None,
    public: PublicOption = None,
    config: ConfigOption = None,
) -> None:
    """Take the signatures of a new root; with enough of them it is the root."""
    place = folder or context.settings(config).keys
    try:
        data = named(draft, drafts.MAX_DRAFT)
    except OSError as error:
        raise SettingsError(f"{draft}: {error.strerror}") from error
    _settled(place, public, rotation.take(place, data))


def _settled(place: Path, public: Path | None, missing: str) -> None:
    if missing:
        draft = place / rotation.NEXT
        waiting = drafts.read(draft.read_bytes())
        for line in drafts.words(waiting):
            typer.echo(line)
        for sentence in spare.outlook(waiting, rotation.newest(place)):
            talk.say("note:", "yellow", sentence)
        hint = f"take {draft} there: `toweros keys sign`; bring it back: `toweros keys import`"
        raise SignError(f"the new root waits for signatures: {missing}", hint=hint)
    if public:
        keys.export(place, public)
    talk.print("the new root is signed; the next pass of the controller publishes it")
    root = f"{public / 'root.json'}" if public else f"{place / 'root.json'} as keys/root.json of the fleet repo"
    talk.print(f"commit {root}: until then new boxes are built to trust the root before, and the keys that it names")
    if not public:
        talk.print("`toweros keys export DIR` copies it; `toweros keys status` and `toweros plan` say when that is due")


def _in_fleet(public: Path) -> bytes | None:
    try:
        return (public / "root.json").read_bytes()
    except OSError as error:
        raise SettingsError(f"{public / 'root.json'}: {error.strerror}") from error


def _deployed(settings: Settings) -> bytes | None:
    """keys/root.json of what is deployed; None: there is none, or no controller's state here that can be read."""
    with contextlib.suppress(TowerosError):
        store = context.existing_store(settings)
        point = deployed_point(store) if store else None
        if point and ROOT_JSON in point[1].entries():
            return point[1].read(ROOT_JSON)
    return None


def _rotate_security(place: Path, held: HeldEd25519 | None) -> None:
    talk.print("commits of security updates are signed by the new key; its line of keys/allowed_signers:")
    talk.print(CommitKey.rotated(place, held).allowed)


def _rotate_builder(place: Path, public: Path | None, held: HeldEd25519 | None) -> None:
    keys.rotate_builder(place, held)
    if public:
        keys.export(place, public)
    talk.print("the next releases are signed by the new builder's key, and by the one before it")
    talk.print(
        f"commit {place / keys.BUILDER} as keys/{keys.BUILDER} of the fleet repo: boxes learn of it by a release"
    )


def _day(expires: int) -> str:
    return datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%d") if expires else "-"
