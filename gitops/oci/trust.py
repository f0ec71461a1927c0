"""Where images of others come from, and whose signature one that is named by a tag needs.

In: the settings, a fleet repo's tree and policy. Out: registries; the key that signed. Rules: as soon as `keys/cosign/`
has a key, what a tag means must be signed by one of them, for nobody looks at a digest that moves by itself; `images:
unsigned` in fleet.yaml names those that nobody signs. A signature of the index counts for the image in it.

    trust = Trust.of(tree)
    trust.asks("web.example/nginx")                                     # True
    whose(registry, "nginx", (index, image.digest), trust.keys)         # "ada.pub"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gitops.errors import RegistryError
from gitops.fleet import load_policy
from gitops.model import Tree, canonical, sha256
from gitops.oci.cosign import UnsignedError, verify_signature
from gitops.oci.image import Reference
from gitops.oci.registry import Registry, credentials
from gitops.settings import Settings

KEYS = "keys/cosign/"
NOWHERE = "set `registry` in toweros.toml, or name the registry: HOST/NAME"


@dataclass(frozen=True)
class Trust:
    """The keys by their names, and globs of the images that need none."""

    keys: Mapping[str, bytes]
    unsigned: tuple[str, ...] = ()

    @classmethod
    def of(cls, tree: Tree) -> "Trust":
        """As a fleet repo says. Raises FleetError when fleet.yaml has mistakes."""
        return cls(keys_of(tree), load_policy(tree).unsigned)

    def asks(self, name: str) -> bool:
        """Whether an image (without tag and digest) needs a signature."""
        return bool(self.keys) and not any(fnmatchcase(name, glob) for glob in self.unsigned)


def keys_of(tree: Tree) -> dict[str, bytes]:
    """Public keys of those who sign images, by file name."""
    return {path.removeprefix(KEYS): tree.read(path) for path in tree.entries() if path.startswith(KEYS)}


def place(settings: Settings, where: str, repository: str) -> tuple[Registry, str]:
    """Where a repository is on `HOST[/PREFIX]`."""
    host, _, prefix = where.partition("/")
    path = "/".join(filter(None, (prefix, repository)))
    return Registry(host, credentials(settings.registry_auth, host)), path


def place_of(settings: Settings, name: str) -> tuple[Registry, str]:
    """Where an image is: at the settings' registry, else where its name says.

    Raises:
        RegistryError: neither names a registry.
    """
    reference = Reference.parse(name)
    where = settings.registry or reference.host
    if not where:
        raise RegistryError(f"{name}: no registry is named", hint=NOWHERE)
    return place(settings, where, reference.repository)


def whose(registry: Registry, repository: str, digests: Sequence[str], keys: Mapping[str, bytes]) -> str:
    """The key that signed one of the digests (an index, the image in it).

    Raises:
        RegistryError: none did.
    """
    errors = list[RegistryError]()
    for digest in dict.fromkeys(digests):
        try:
            return verify_signature(registry, repository, digest, keys)
        except RegistryError as error:
            if error.transient:
                raise
            errors.append(error)
    # Why a signature does not count says more than that the other digest has none.
    raise next((error for error in errors if not isinstance(error, UnsignedError)), errors[-1])


def tag_question(registry: str, name: str, digest: str, keys: Mapping[str, bytes]) -> str:
    """Under which key the store remembers that an image by a tag is signed. `digest`: of the image, not the index."""
    return sha256(canonical(["tag", registry, name, digest, sorted(map(sha256, keys.values()))]))


def pull_question(registry: str, digest: str, keys: Mapping[str, bytes]) -> str:
    """The same of one that Docker pulls itself."""
    return sha256(canonical([registry, digest, sorted(map(sha256, keys.values()))]))
