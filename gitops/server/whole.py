"""A request reaches the app when all of its body is here.

In: an ASGI app, and the bytes of the largest body that is any use. Out: the app, which never waits for the other side's
body: who sends one byte a minute, or goes away in between, costs a socket and what came so far, and no work. Rules: of
a body that is larger, the app gets what came up to there, and reads on itself if it likes.

    app.add_middleware(Whole, most=256 << 10)
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_BODY = ("GET", "HEAD")
"""What they send is of no meaning (RFC 9110, 9.3.1), and is not waited for."""


class Whole:
    """See above."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in NO_BODY:
            await self._app(scope, receive, send)
            return
        body, more = bytearray(), True
        while more and len(body) <= self._most:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        first: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": more}]

        async def received() -> Message:
            return first.pop() if first else await receive()

        await self._app(scope, received, send)
