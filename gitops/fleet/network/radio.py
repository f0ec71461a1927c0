"""`wifi`, `dot1x` and `modem` of a link, as files say them.

air: {wifi: {ssid: Site 7, security: wpa3, secret: site-7, country: DE}, dhcp: true}
lan: {mac: "52:54:00:12:34:56", dot1x: {security: tls, identity: box, secret: box-cert, server: radius.example}}
cell: {modem: {apn: internet, device: ttyUSB2, pin: sim}, metric: 300}
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gitops.fleet.documents.strict import Strict
from gitops.model.network.radio import ENTERPRISE, Access, Modem

KEPT_AS = r"^[a-z0-9][a-z0-9-]{0,31}$"
"""The name under which `toweros box secret` puts a secret on a box."""
DOMAIN = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"


def _name(text: str) -> str:
    if not re.fullmatch(KEPT_AS, text):
        raise ValueError(
            "the name of a secret is expected, such as site-7: the secret itself comes by `toweros box secret`"
        )
    return text


def _pin(text: str) -> str:
    if text.isdecimal():
        raise ValueError(
            "a PIN does not belong in Git: the name of a secret is expected, such as sim (`toweros box secret`)"
        )
    return _name(text)


def _tty(text: str) -> str:
    if re.fullmatch("(/dev/)?(cdc-wdm|wwan)[0-9].*", text):
        raise ValueError(
            f"{text} speaks QMI or MBIM, which nothing here does: the same modem's tty is expected, such as ttyUSB2"
            " (docs/hardware.md, Radios and modems)"
        )
    if not re.fullmatch("tty[A-Z]{1,8}[0-9]{1,3}", text, re.ASCII):
        raise ValueError("the modem's tty is expected, such as ttyUSB2, without /dev/")
    return text


def _ssid(text: str) -> str:
    if not 1 <= len(text.encode()) <= 32:
        raise ValueError("a network's name has 1 to 32 bytes")
    return text


def _plain(text: str) -> str:
    if not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError("a name without quotes, backslashes and control characters is expected")
    return text


SecretName = Annotated[str, AfterValidator(_name)]
Ssid = Annotated[str, AfterValidator(_ssid)]
Identity = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_plain)]
Domain = Annotated[str, StringConstraints(pattern=DOMAIN)]


class Dot1xRules(Strict):
    """802.1X on a cable. Authorities of the server are the network's `ca`."""

    security: Literal["peap", "tls"]
    secret: SecretName = Field(description="A password (peap), or a key with its certificate in PEM (tls).")
    identity: Identity
    server: Domain = Field(description="The name that the 802.1X server must prove.")

    def noun(self) -> Access:
        return Access(self.security, "", self.secret, self.identity, self.server)


class WifiRules(Strict):
    """A wireless network that the link joins."""

    ssid: Ssid
    security: Literal["open", "wpa2", "wpa3", "peap", "tls"] = "wpa2"
    secret: SecretName | None = Field(default=None, description="Its passphrase, by name: never the passphrase itself.")
    identity: Identity | None = None
    server: Domain | None = Field(default=None, description="With 802.1X: the name that its server must prove.")
    country: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] | None = Field(
        default=None, description="Whose rules its radio keeps, such as DE."
    )

    @model_validator(mode="after")
    def _whole(self) -> "WifiRules":
        if self.security == "open":
            if self.secret:
                raise ValueError("an open network has no `secret`")
        elif not self.secret:
            raise ValueError(f"`security: {self.security}` needs a `secret`: the name of one, such as site-7")
        needs = [key for key in ("identity", "server") if not getattr(self, key)]
        if self.security in ENTERPRISE and needs:
            raise ValueError(f"`security: {self.security}` needs `{needs[0]}`")
        if self.security not in ENTERPRISE and len(needs) < 2:
            raise ValueError("`identity` and `server` are for `peap` and `tls`")
        return self

    def noun(self) -> Access:
        given = {key: value for key, value in self if value is not None}
        return Access(**given)


class ModemRules(Strict):
    """A modem that is dialled by PPP, as one on USB with a tty."""

    apn: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    device: Annotated[str, AfterValidator(_tty)] | None = Field(
        default=None, description="Its tty, such as ttyUSB2; or say `bus` of the link: the USB interface, as 1-1.3:1.2."
    )
    pin: Annotated[str, AfterValidator(_pin)] | None = Field(
        default=None, description="The PIN of its card, by name: never the PIN itself."
    )
    user: Identity | None = None
    secret: SecretName | None = Field(default=None, description="The password of `user`, by name.")
    ipv6: bool = Field(default=False, description="IPv6 beside IPv4, where the operator has both.")

    @model_validator(mode="after")
    def _whole(self) -> "ModemRules":
        if bool(self.user) != bool(self.secret):
            raise ValueError("`user` goes with `secret`")
        return self

    def noun(self) -> Modem:
        return Modem(self.apn, self.device or "", self.pin or "", self.user or "", self.secret or "", self.ipv6)
