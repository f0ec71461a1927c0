"""A mail server of a page: EHLO, STARTTLS, AUTH PLAIN, one message after the other; or one that misbehaves.

with MailServer(folder, authority) as server:
    server.messages[-1]["Subject"]
"""

import base64
import contextlib
import socket
import ssl
import threading
import time
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from tests.kit.authority import Authority

USER, PASSWORD = "toweros", "p\u00e4ss word"


class MailServer:
    """`manner`: "" is a good one; "drips": a greeting that never ends; "refuses": 550 to every message; "bare": it has
    no STARTTLS; "rude": it hangs up after the message, without a farewell."""

    def __init__(self, folder: Path, authority: Authority, manner: str = "") -> None:
        authority.server("127.0.0.1", folder / "mail.pem")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "mail.pem")
        self.manner, self.messages, self.logins, self.clear = manner, list[Message](), list[str](), list[str]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "MailServer":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while self.manner == "drips":
                wire.sendall(b"220-still here\r\n")
                time.sleep(0.02)
            self._talk(wire)

    def _talk(self, wire: socket.socket) -> None:
        wire.sendall(b"220 mail\r\n")
        file, secured = wire.makefile("rb"), False
        while line := file.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "EHLO":
                more = b"250-AUTH PLAIN\r\n" if secured else (b"" if self.manner == "bare" else b"250-STARTTLS\r\n")
                wire.sendall(b"250-mail\r\n" + more + b"250 8BITMIME\r\n")
            elif verb.upper() == "STARTTLS":
                wire.sendall(b"220 go\r\n")
                wire = self._context.wrap_socket(wire, server_side=True)
                file, secured = wire.makefile("rb"), True
            elif verb.upper() == "AUTH":
                self.logins.append(base64.b64decode(rest.split()[1]).decode())
                good = self.logins[-1] == f"\0{USER}\0{PASSWORD}"
                wire.sendall(b"235 in\r\n" if good else b"535 no\r\n")
            elif verb.upper() == "DATA":
                wire.sendall(b"354 go on\r\n")
                self._message(file, secured)
                wire.sendall(b"550 no\r\n" if self.manner == "refuses" else b"250 taken\r\n")
                if self.manner == "rude":
                    return wire.close()
            elif verb.upper() == "QUIT":
                wire.sendall(b"221 bye\r\n")
                return wire.close()
            else:
                wire.sendall(b"250 ok\r\n")

    def _message(self, file: object, secured: bool) -> None:
        data = b""
        while (line := file.readline()) and line != b".\r\n":  # type: ignore[attr-defined]
            data += line
        if not secured:
            self.clear.append(data.decode(errors="replace"))
        if self.manner != "refuses":
            self.messages.append(message_from_bytes(data))
