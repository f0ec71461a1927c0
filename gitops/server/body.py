"""What a request brings, within bounds.

In: a request, and how much is taken. Out: its bytes. Rules: reading ends with the first byte too many, whatever
`Content-Length` says; who hangs up in the middle has sent nothing.

    data = await bounded(request, "form", 64 << 10)       # 413 "a form has at most 65536 bytes"
"""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request


async def bounded(request: Request, what: str, most: int) -> bytes:
    """`what`: what it should be, for the answer; `most`: bytes.

    Raises:
        HTTPException: 413 it is too long; 400 it ends short.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise HTTPException(413, f"a {what} has at most {most} bytes")
    except ClientDisconnect as error:
        raise HTTPException(400, f"the {what} ends short") from error
    return bytes(body)
