"""TLS in front of a plain server, with a certificate of a private authority."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.kit.authority import Authority


@contextlib.contextmanager
def tls_before(url: str, authority: Authority, folder: Path) -> Iterator[str]:
    """The URL of what passes all on to `url`; its key is put into `folder`."""
    authority.server("127.0.0.1", folder / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    behind = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):  # it ends with `listening`
                while True:
                    threading.Thread(target=serve, args=listening.accept()[:1], daemon=True).start()

        def serve(bare: socket.socket) -> None:
            with contextlib.suppress(OSError):  # whoever does not believe it hangs up
                client = context.wrap_socket(bare, server_side=True)
                server = socket.create_connection((str(behind.hostname), int(behind.port or 80)))
                threading.Thread(target=pass_on, args=(client, server), daemon=True).start()
                pass_on(server, client)

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def pass_on(giver: socket.socket, taker: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := giver.recv(1 << 16):
            taker.sendall(data)
    with contextlib.suppress(OSError):
        taker.shutdown(socket.SHUT_RDWR)
