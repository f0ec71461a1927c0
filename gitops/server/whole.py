"""A request is told when all of its body is here.

In: the bytes of one HTTP/1.1 connection, as h11 reads them. Out: h11's events; those of a request with a body come
together, as soon as its last byte did. So who sends one byte a minute, or goes away in between, costs a socket and what
came so far, and no work. Rules: of a body of more than `most` bytes, what came up to there is told at once, and the
rest as it comes; what GET and HEAD send is of no meaning (RFC 9110, 9.3.1), and is not waited for; pieces are one.

    conn = Whole(h11.DEFAULT_MAX_INCOMPLETE_EVENT_SIZE, most=256 << 10)
    conn.receive_data(data)
    event = conn.next_event()      # h11.NEED_DATA until the request is whole
"""

from collections import deque
from typing import Any

import h11

NO_BODY = (b"GET", b"HEAD")


class Whole(h11.Connection):
    """See above. `most`: the bytes of the largest body that is any use."""

    def __init__(self, head: int, most: int) -> None:
        super().__init__(h11.SERVER, head)
        self._most = most
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._told = deque[h11.Event]()

    @property
    def waits(self) -> bool:
        """Whether a request is here whose body is on the way."""
        return self._request is not None

    @property
    def held(self) -> int:
        """Bytes of a body that is on the way."""
        return len(self._body)

    def next_event(self) -> Any:
        """As h11's own.

        Raises:
            h11.RemoteProtocolError: what came is no HTTP.
        """
        if self._told:
            return self._told.popleft()
        if not self._request:
            event = super().next_event()
            if not isinstance(event, h11.Request) or event.method in NO_BODY:
                return event
            self._request = event
        return self._whole(self._request)

    def _whole(self, request: h11.Request) -> Any:
        while isinstance(event := super().next_event(), h11.Data):
            self._body += event.data
            if len(self._body) > self._most:
                return self._tell(request)
        if not isinstance(event, h11.EndOfMessage):
            return event
        return self._tell(request, event)

    def _tell(self, request: h11.Request, *rest: h11.Event) -> h11.Request:
        if self._body:
            self._told.append(h11.Data(data=bytes(self._body)))
        self._told.extend(rest)
        self._request, self._body = None, bytearray()
        return request
