"""What machines ask that the network starts: the requests that OVMF was seen to make, and those of iPXE's scripts."""

import http.client
import re

OVMF = {"Host": "10.0.2.2", "Accept": "*/*", "User-Agent": "UefiHttpBoot/1.0"}
"""As Debian 12's OVMF sent them to a server on port 41101."""
IPXE = {"Connection": "keep-alive", "User-Agent": "iPXE/1.0.0+git-20190125.36a4c85-5.1", "Host": "10.0.2.2:41101"}


def ask(url: str, headers: dict[str, str], *requests: str) -> list[bytes]:
    """Requests in one connection, as METHOD PATH, with these headers and no others. Their answers."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        return [_answer(connection, headers, *each.split()) for each in requests]
    finally:
        connection.close()


def _answer(connection: http.client.HTTPConnection, headers: dict[str, str], method: str, path: str) -> bytes:
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 200
    length, body = int(answer.headers["content-length"]), answer.read()
    assert method == "HEAD" or len(body) == length
    return body


def by_uefi(url: str, box: str) -> bytes:
    """OVMF asks how large the file is, then for all of it. Returns the ESP that it gets."""
    size, image = ask(url, OVMF, f"HEAD /boot/{box}.img", f"GET /boot/{box}.img")
    assert size == b""
    return image


def by_bios(url: str, mac: str, uuid: str) -> list[bytes]:
    """iPXE follows the scripts, then takes kernel and initrd."""
    (first,) = ask(url, IPXE, "GET /boot/boot.ipxe")
    asks = re.search(r"chain --replace (\S+)", first.decode())
    assert asks
    known_by = asks[1].replace("${netX/mac:hexhyp}", mac.replace(":", "-")).replace("${uuid}", uuid)
    (script,) = ask(url, IPXE, f"GET /boot/{known_by}")
    files = re.findall(r"^(?:kernel|initrd) (\S+)", script.decode(), re.MULTILINE)
    return ask(url, IPXE, *(f"GET /boot/{path}" for path in files))
