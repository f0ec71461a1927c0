"""One message to one receiver: by HTTP, or by mail.

In: a receiver of the settings, a message. Out: nothing, or why it was not taken. Rules: whatever a receiver does, it
has an end; redirects are not followed: they would take what is said, and its signature, elsewhere; of an answer only
the status counts; no word of what goes wrong has an address, a token or a secret in it.

    send(receiver, Notice(...))     # SendError("HTTP 500")
"""

import base64
import contextlib
import hashlib
import hmac
import smtplib
import socket
import ssl
import threading
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

from gitops.errors import TowerosError
from gitops.files.named import named
from gitops.model import canonical
from gitops.settings.receivers import Receiver
from gitops.store.notes.notices import Notice
from gitops.web.ask import Bounds, WebError, ask

BOUNDS = Bounds(connect=5.0, silence=10.0, longest=20.0, largest=4096)
MAIL_SECONDS = 30.0
MAX_SECRET = 4096
LOGGED_IN = 235
SIGNATURE, DELIVERY = "toweros-signature", "toweros-delivery"


class SendError(TowerosError):
    """It was not taken."""


def send(receiver: Receiver, notice: Notice) -> None:
    """Raises SendError."""
    if receiver.kind == "email":
        _mail(receiver, notice)
    else:
        _http(receiver, notice)


def _http(receiver: Receiver, notice: Notice) -> None:
    url = receiver.url or _secret(receiver.url_file)
    headers, method = {"Content-Type": "application/json", DELIVERY: notice.id}, "POST"
    if receiver.kind == "webhook":
        body = signed_body(notice)
        headers[SIGNATURE] = signature(_secret(receiver.secret_file), body)
    elif receiver.kind == "slack":
        body = canonical({"text": _slack(text_of(notice))})
    else:
        body, method = canonical({"msgtype": "m.text", "body": text_of(notice)}), "PUT"
        headers["Authorization"] = f"Bearer {_secret(receiver.token_file)}"
        room = quote(receiver.room, safe="")
        url = f"{url.rstrip('/')}/_matrix/client/v3/rooms/{room}/send/m.room.message/{notice.id}"
    trusted = str(receiver.ca) if receiver.ca else None
    try:
        with ask(url, BOUNDS, headers, body=(method, body), redirects=False, trusted=trusted) as answer:
            if not 200 <= answer.status < 300:
                raise SendError(f"HTTP {answer.status}")
    except WebError as error:
        raise SendError(str(error)) from error
    except OSError as error:  # of a file: the network's are told apart by `ask`
        raise SendError(f"{trusted} cannot be read: {type(error).__name__}") from error


def signed_body(notice: Notice) -> bytes:
    """What a webhook gets (docs/notifications.md)."""
    gathered = notice.gathered
    words = {"format": 1, "id": notice.id, "rule": notice.rule, "title": gathered.title, "lines": list(gathered.lines)}
    return canonical(words | {"counts": gathered.counts, "first": gathered.as_json(), "made": notice.made})


def signature(secret: str, body: bytes) -> str:
    """HMAC-SHA256 over the body's bytes."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def text_of(notice: Notice) -> str:
    """For people."""
    lines = notice.gathered.lines
    return "\n".join([f"TowerOS: {notice.gathered.title}", *(lines if lines[1:] else ())])


def _slack(text: str) -> str:
    """Its three control characters (and so `<!channel>`, links, mentions) are data here."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mail(receiver: Receiver, notice: Notice) -> None:
    smtp = smtplib.SMTP(timeout=BOUNDS.silence)
    try:
        with _ending(smtp):
            _say(smtp, receiver, _message(receiver, notice))
    except smtplib.SMTPResponseException as error:
        raise SendError(f"the mail server says {error.smtp_code}") from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise SendError(f"the mail server: {type(error).__name__}") from error
    finally:
        smtp.close()


def _say(smtp: smtplib.SMTP, receiver: Receiver, message: EmailMessage) -> None:
    host, _, port = receiver.smtp.rpartition(":")
    host = host.strip("[]")
    smtp.connect(host, int(port))
    if receiver.starttls:
        setattr(smtp, "_host", host)  # noqa: B010 - what the certificate has to be for; `connect` does not say it
        smtp.starttls(context=ssl.create_default_context(cafile=receiver.ca))
    if receiver.user:
        _log_in(smtp, receiver.user, _secret(receiver.password_file))
    smtp.send_message(message)
    with contextlib.suppress(smtplib.SMTPException, OSError):  # it is taken, whatever comes of the farewell
        smtp.quit()


def _log_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
    """AUTH PLAIN is UTF-8 (RFC 4616); smtplib's own takes passwords in ASCII alone."""
    smtp.ehlo_or_helo_if_needed()
    if "PLAIN" not in smtp.esmtp_features.get("auth", "").upper().split():
        smtp.login(user, password)
        return
    said = f"\0{user}\0{password}".encode()
    code, words = smtp.docmd("AUTH", f"PLAIN {base64.b64encode(said).decode()}")
    if code != LOGGED_IN:
        raise smtplib.SMTPResponseException(code, words)


class _ending:  # noqa: N801 - a context, used as a word
    """The connection is cut when its time is over: a server may say `250-` for ever."""

    def __init__(self, smtp: smtplib.SMTP) -> None:
        self._smtp = smtp
        self._timer = threading.Timer(MAIL_SECONDS, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        wire: socket.socket | None = getattr(self._smtp, "sock", None)
        if wire:
            try:
                wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                wire.close()


def _message(receiver: Receiver, notice: Notice) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(f"TowerOS: {notice.gathered.title}".split())[:200]
    message["From"], message["To"] = receiver.sender, ", ".join(receiver.recipients)
    message["Date"] = formatdate(notice.made)
    message["Message-ID"] = f"<{notice.id}@{str(receiver.sender).rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    message.set_content(f"{text_of(notice)}\n\nrule: {notice.rule}\n")
    return message


def _secret(path: Path | None) -> str:
    """The file's only word. Raises SendError."""
    try:
        text = named(Path(str(path)), MAX_SECRET).decode().strip()
    except (OSError, ValueError) as error:
        raise SendError(f"{path} cannot be read: {type(error).__name__}") from error
    if not text:
        raise SendError(f"{path} is empty")
    return text
