"""What a digest names: an image, or an index that leads to one for our machines (image-spec 1.1; Docker's schema 2).

In: bytes by digest, wherever they are. Out: an `AppImage`, and the indexes on the way to it. Rules: an index is
followed to the platform, never to its first entry; attestations beside images are passed over; indexes lie within
indexes up to a bound; sizes are what the descriptor says; what is no image, or has layers that registries do not give
out, is told by what it is instead.

    found = find(lambda kind, digest: read(digest), digest, "web.example/ntp@sha256:...")
    found.image, found.indexes
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gitops.errors import RegistryError
from gitops.model import AppImage, BlobRef, Json, sha256
from gitops.oci.registry import hex_of, parse

PLATFORM = ("linux", "amd64")
CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
MAX_DEPTH = 4
"""Indexes inside indexes."""
MAX_ENTRIES = 1000
MAX_LAYERS = 500
"""Four times what Docker makes."""
UNKNOWN = ("unknown", "unknown")
"""The platform of what is beside an image: attestations (docs.docker.com, "Attestation storage")."""
EVERY = ("", "v1")
"""Variants of our platform that each of its machines runs (the levels of the x86-64 psABI)."""
NOT_GIVEN = ("foreign", "nondistributable")
"""In the media type of a layer that registries need not have (image-spec 1.0, "Non-Distributable Layers")."""

Read = Callable[[str, str], bytes]
"""`manifests` or `blobs`, and the hex of a digest -> the bytes, which are those of the digest."""


class OtherPlatformError(RegistryError):
    """An image or index is for other machines."""


@dataclass(frozen=True)
class Found:
    """An image, and the indexes that led to it, the outermost first."""

    image: AppImage
    indexes: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Descriptor:
    """One entry of an index. `size` is -1, `platform` (OS, architecture, variant) empty where it does not say."""

    digest: str
    size: int
    platform: tuple[str, ...] = ()

    @classmethod
    def parse(cls, entry: Json) -> "Descriptor":
        """ValueError, KeyError or TypeError: it is none."""
        said = entry.get("platform") or {}
        names = (said.get("os", ""), said.get("architecture", ""), said.get("variant") or "") if said else ()
        platform = tuple(map(str, names))
        if platform and platform[:2] != PLATFORM:
            return cls("", -1, platform)
        return cls(hex_of(entry["digest"]), _size_if_said(entry), platform)

    @property
    def ours(self) -> bool:
        return self.platform[:2] == PLATFORM


def find(read: Read, digest: str, name: str, depth: int = MAX_DEPTH) -> Found:
    """The image that a digest names. `name` is for messages.

    Raises:
        RegistryError: there is none, it is for other machines, or not what its descriptor says. What `read` raises.
    """
    return _find(read, digest, name, depth, set())


def _find(read: Read, digest: str, name: str, depth: int, seen: set[str]) -> Found:
    """`seen`: what was looked at. Indexes of a thousand entries inside each other would take years otherwise."""
    data = read("manifests", digest)
    document = parse(data, name)
    if "manifests" not in document:
        return Found(_image(read, data, document, name))
    if depth == 0:
        raise RegistryError(f"{name}: indexes are nested too deep")
    others: list[OtherPlatformError] = []
    for entry in choices(document, name):
        if entry.digest in seen:
            continue
        seen.add(entry.digest)
        if len(seen) > MAX_ENTRIES:
            raise RegistryError(f"{name} has indexes of more than {MAX_ENTRIES} entries")
        try:
            found = _find(_sized(read, entry, name), entry.digest, name, depth - 1, seen)
            suits(found.image, name)
        except OtherPlatformError as error:
            others.append(error)
            continue
        return replace(found, indexes=(data, *found.indexes))
    raise others[0] if others else _for_others(document, name)


def choices(index: Json, name: str) -> list[Descriptor]:
    """Where our image may be: the entry of our platform, for all of its machines before those for newer ones alone;
    else the entries that do not say for whom they are.

    Raises:
        RegistryError: it is no index, or ours are for newer machines alone: whoever has those names the image itself.
    """
    entries = list(_entries(index, name))
    ours = sorted((each for each in entries if each.ours), key=lambda each: each.platform[2])
    if ours and ours[0].platform[2] not in EVERY:
        what = f"{name} is for {'/'.join(map(_safe, ours[0].platform))} and later processors alone"
        hint = f"where all boxes that run it have one, name the image itself: @sha256:{ours[0].digest}"
        raise OtherPlatformError(what, hint=hint)
    if ours:
        return ours[:1]
    return [each for each in entries if not each.platform]


def for_us(index: Json, name: str) -> str:
    """The digest in an index that leads to the image for our machines.

    Raises:
        RegistryError: there is none, or it is no index.
    """
    found = choices(index, name)
    if not found:
        raise _for_others(index, name)
    return found[0].digest


def suits(image: AppImage, name: str) -> None:
    """Raises OtherPlatformError: it is not for our machines."""
    config = parse(image.config, name)
    made_for = (config.get("os"), config.get("architecture"))
    if made_for != PLATFORM:
        words = f"{_safe(made_for[0])}/{_safe(made_for[1])}"
        raise OtherPlatformError(f"{name} is an image for {words}, not for {'/'.join(PLATFORM)}")


def for_all(image: AppImage, name: str) -> None:
    """Raises OtherPlatformError: only newer processors run it, and nobody named it by its own digest, without a tag."""
    if (variant := _safe(parse(image.config, name).get("variant") or "")) not in EVERY:
        hint = "where all boxes that run it have such a processor, name it by digest, without a tag"
        raise OtherPlatformError(f"{name} is for {'/'.join(PLATFORM)}/{variant} and later processors alone", hint=hint)


def size_of(descriptor: Json) -> int:
    """The size that a descriptor says; ValueError for what is none: JSON has 1e999 and -1, too."""
    size = descriptor["size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"{size!r} is no size")
    return size


def _size_if_said(descriptor: Json) -> int:
    """-1: it says none, as some writers leave it away where nothing is fetched by it."""
    return size_of(descriptor) if "size" in descriptor else -1


def _entries(index: Json, name: str) -> Iterator[Descriptor]:
    """Those of an index that are images or indexes, as far as they say."""
    listed = index["manifests"] if isinstance(index.get("manifests"), list) else []
    if len(listed) > MAX_ENTRIES:
        raise RegistryError(f"{name} has an index of more than {MAX_ENTRIES} entries")
    for entry in listed:
        try:
            one = Descriptor.parse(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RegistryError(f"{name} has an index that is none: {_said(error)}") from error
        if one.platform[:2] != UNKNOWN:
            yield one


def _for_others(index: Json, name: str) -> OtherPlatformError:
    there = ["/".join(filter(None, map(_safe, each.platform))) for each in _entries(index, name)]
    only = f"; it has {', '.join(sorted(set(there))[:20])}" if any(there) else ""
    return OtherPlatformError(f"{name} has no image for {'/'.join(PLATFORM)}{only}")


def _sized(read: Read, entry: Descriptor, name: str) -> Read:
    """Reads one entry of an index, and what it names."""

    def sized(kind: str, digest: str) -> bytes:
        data = read(kind, digest)
        if digest == entry.digest and entry.size not in (-1, len(data)):
            raise RegistryError(f"{name}: its manifest has {len(data)} bytes, and its index says {entry.size}")
        return data

    return sized


def _image(read: Read, data: bytes, manifest: Json, name: str) -> AppImage:
    if manifest.get("schemaVersion") == 1 or "fsLayers" in manifest:
        hint = "push it again with a tool of these days, and name that digest"
        raise RegistryError(f"{name} is in Docker's first format (schema 1), which has no layers by digest", hint=hint)
    try:
        config, listed = manifest["config"], manifest["layers"]
        named, size, kind = hex_of(config["digest"]), _size_if_said(config), config.get("mediaType")
        layers = tuple(_layer(layer, name) for layer in listed)
    except KeyError as error:
        raise RegistryError(f"{name} is no image: its manifest lacks {error}") from error
    except ValueError as error:
        raise RegistryError(f"{name} is no image: in its manifest, {error}") from error
    except (TypeError, AttributeError) as error:
        raise RegistryError(f"{name} is no image: its manifest lists other things than layers") from error
    if isinstance(kind, str) and kind and kind not in CONFIGS:
        raise RegistryError(f"{name} is no image, but {_safe(manifest.get('artifactType') or kind)}")
    if len(layers) > MAX_LAYERS:
        raise RegistryError(f"{name} has {len(layers)} layers, more than {MAX_LAYERS}")
    about = read("blobs", named)
    if size not in (-1, len(about)):
        raise RegistryError(f"{name}: its config has {len(about)} bytes, and its manifest says {size}")
    return AppImage(data, about, layers)


def _layer(layer: Json, name: str) -> BlobRef:
    kind = str(layer.get("mediaType", ""))
    if any(word in kind for word in NOT_GIVEN):
        hint = "build an image whose layers are all its own"
        raise RegistryError(f"{name} has a layer that registries do not give out: {_safe(kind)}", hint=hint)
    if kind.endswith("+encrypted"):
        raise RegistryError(f"{name} has a layer that is encrypted", hint="push it as it is")
    return BlobRef(hex_of(layer["digest"]), size_of(layer))


def _said(error: Exception) -> str:
    """In words of ours: those of Python are about its types."""
    if isinstance(error, KeyError):
        return f"an entry lacks {error}"
    return str(error) if isinstance(error, ValueError) else "an entry is no description of an image"


def _safe(value: Any) -> str:
    """A word of a stranger's, fit for a message."""
    return re.sub(r"[^A-Za-z0-9./+_-]", "?", str(value))[:80]


def digest_of(found: Found) -> str:
    """The digest that names what was found: of the outermost index, or the image's own."""
    return sha256(found.indexes[0]) if found.indexes else found.image.digest
