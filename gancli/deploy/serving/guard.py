"""The middleware around the routes: token, size of the body, time-out, safe headers, counting."""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from gancli.deploy.serving.metrics import Metrics
from gancli.deploy.serving.refusal import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY = 2**16
"""Bytes of a request's body."""
OPEN = ("/", "/healthz")
"""Paths that need no token; neither says anything of the generators."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every response that does not have them already."""


class Guard:
    """ASGI middleware; what it refuses does not reach the routes."""

    def __init__(self, app: App, paths: Iterable[str], token: str | None, seconds: float, metrics: Metrics) -> None:
        self.app, self.token, self.seconds, self.metrics = app, token, seconds, metrics
        self.paths = frozenset(paths)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"] if scope["path"] in self.paths else "other"
        began, sent = time.perf_counter(), _Sent(send)
        try:
            async with asyncio.timeout(self.seconds):
                await self._answer(scope, receive, sent)
        except TimeoutError:
            self.metrics.refused.labels("took too long").inc()
            await sent.refuse(Refused(503, f"it took more than {self.seconds:g} s; ask for fewer images.", 5))
        except Refused as refused:
            await sent.refuse(refused)
        finally:
            self.metrics.requests.labels(path, str(sent.status)).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - began)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self.token is not None and scope["path"] not in OPEN:
            _require_token(headers.get(b"authorization", b""), self.token)
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if scope["method"] == "POST" and kind != b"application/json":  # which no form of another site can send
            raise Refused(415, "the body must be JSON, with Content-Type: application/json.")
        body = await _body(headers.get(b"content-length", b"0"), receive)
        if body is not None:
            await self.app(scope, _replaying(body, receive), send)


def _require_token(given: bytes, token: str) -> None:
    if not hmac.compare_digest(given, f"Bearer {token}".encode()):
        refused = Refused(401, "a token is needed: Authorization: Bearer TOKEN.")
        refused.headers["WWW-Authenticate"] = "Bearer"
        raise refused


async def _body(length: bytes, receive: Receive) -> bytes | None:
    """The whole body, Refused (413) if it is too long; None if the client has gone."""
    body = b""
    more = True
    while more and (not length.isdigit() or int(length[:20]) <= MAX_BODY) and len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if more or len(body) > MAX_BODY:
        raise Refused(413, f"the body is larger than {MAX_BODY:,} bytes.")
    return body


def _replaying(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body at once, and then what follows it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


class _Sent:
    """A ``send`` that adds headers, and knows what was sent."""

    def __init__(self, send: Send) -> None:
        self.send, self.status, self.is_begun = send, 500, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.is_begun = message["status"], True
            there = {name.lower() for name, _ in message["headers"]}
            added = [(n.lower().encode(), v.encode()) for n, v in HEADERS.items() if n.lower().encode() not in there]
            message = {**message, "headers": [*message["headers"], *added]}
        await self.send(message)

    async def refuse(self, refused: Refused) -> None:
        """Answer with a status and a reason, unless an answer has begun."""
        if self.is_begun:
            return
        content = json.dumps({"detail": str(refused)}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **refused.headers}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self({"type": "http.response.start", "status": refused.status, "headers": encoded})
        await self({"type": "http.response.body", "body": content})
