"""Load the generators, listen, and serve until a signal."""

import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from gancli.config.sample_command import Marking
from gancli.config.serve_command import Address, Limits, ServeFlags
from gancli.config.settings import part_of
from gancli.deploy.serving.app import Service, app_of
from gancli.deploy.serving.models import load_models
from gancli.errors import UsageError
from gancli.machine import devices
from gancli.sampling.stamping import stamper_for
from gancli.training import signals

log = logging.getLogger(__name__)
TOKEN = "GANCLI_TOKEN"
"""Environment variable with the token."""
MIN_TOKEN = 16
CONNECTIONS_PER_REQUEST = 4
"""Open connections for each place in the queue, beyond which uvicorn answers 503."""


def serve(told: ServeFlags, say: Callable[[str, list[str]], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests in work are answered before this returns.

    ``say`` is called with the address and the models' names when requests are accepted.
    """
    limits, token = part_of(told, Limits), token_of(told.token_file)
    stamper = stamper_for(part_of(told, Marking), ".png")
    with listening(part_of(told, Address)) as listener:
        _warn(told.host, token)
        models = load_models(told.ckpt, limits, devices.select(told.device))
        server = server_of(Service(models, limits, stamper, token))
        host, port = listener.getsockname()[:2]
        say(f"http://{f'[{host}]' if ':' in host else host}:{port}", [*models])
        with signals.caught(lambda _: None):  # uvicorn handles the signal, and raises it again when it is done
            server.run([listener])
    log.info("stopped; all requests in work were answered.")


def server_of(service: Service) -> uvicorn.Server:
    """A server whose log has errors only, for a listening socket."""
    limits = service.limits
    return uvicorn.Server(
        uvicorn.Config(
            app_of(service), log_config=None, log_level="error", access_log=False, server_header=False, ws="none",
            limit_concurrency=CONNECTIONS_PER_REQUEST * limits.queue + 64, proxy_headers=False,
            timeout_graceful_shutdown=int(limits.timeout) + 5,
        )
    )  # fmt: skip


def listening(address: Address) -> socket.socket:
    """A socket that listens; UsageError if the address cannot be used."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=256)
    except OSError as error:
        raise UsageError(
            f"--host {address.host} --port {address.port}: cannot listen there ({error.strerror or error}); "
            "choose another, or --port 0 for a free one."
        ) from error


def token_of(file: str | None) -> str | None:
    """The token in the file or in the environment; UsageError if it is empty, short, or cannot be read."""
    try:
        token = os.environ.get(TOKEN) if file is None else Path(file).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file} cannot be read; it holds one line of letters and digits.") from error
    if token is None:
        return None
    token, where = token.strip(), TOKEN if file is None else f"--token-file {file}"
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{where}: a token has at least {MIN_TOKEN} letters and digits, and no space.")
    return token


def _warn(host: str, token: str | None) -> None:
    if _is_loopback(host):
        return
    who = "whoever reaches it can draw" if token is None else "the token travels unencrypted"
    cure = f"set {TOKEN} or --token-file, and put" if token is None else "put"
    log.warning("--host %s is open to other machines, and %s; %s a proxy with TLS in front.", host, who, cure)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
