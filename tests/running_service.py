"""A service that listens on a free port of this machine, and a client for it."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gancli.deploy.serving.app import Service
from gancli.deploy.serving.server import server_of


@dataclass(frozen=True)
class Reply:
    """A response."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """Its content as JSON."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Client:
    """Speaks to a service that listens on a port of this machine."""

    port: int

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return Reply(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())

    def draw(self, body: object, **headers: str) -> Reply:
        return self.ask("POST", "/v1/images", json.dumps(body).encode(), Content_Type="application/json", **headers)


@contextlib.contextmanager
def running(service: Service) -> Iterator[Client]:
    """The service on a free port, in a thread."""
    server = server_of(service)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield Client(listener.getsockname()[1])
        server.should_exit = True
        thread.join()
