"""The routes of the service."""

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPBearer

from gancli.config.serve_command import Limits
from gancli.deploy.serving.answers import JSON, TYPES, ZIP, answer
from gancli.deploy.serving.guard import Guard
from gancli.deploy.serving.metrics import CONTENT_TYPE, Metrics
from gancli.deploy.serving.models import Model
from gancli.deploy.serving.queue import DrawingQueue
from gancli.deploy.serving.refusal import Refused
from gancli.deploy.serving.wanted import Wanted, in_one_line, model_called, plan
from gancli.machine import cores
from gancli.sampling.stamping import Stamper
from gancli.version import __version__

DRAWN = {type: {"schema": {"type": "string", "format": "binary"}} for type in (*TYPES.values(), ZIP)} | {JSON: {}}
"""Media types of the answers of ``POST /v1/images``, for the OpenAPI description."""
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The images.", "content": DRAWN},
    401: {"description": "A token is needed."},
    404: {"description": "There is no such model."},
    413: {"description": "The body is too large."},
    415: {"description": "The body is not JSON."},
    422: {"description": "This cannot be drawn; the detail says why."},
    429: {"description": "The queue is full; see Retry-After."},
    503: {"description": "It took too long, or memory did not suffice."},
}


@dataclass(frozen=True)
class Service:
    """The generators, bounds and marks of a service, and its token."""

    models: dict[str, Model]
    limits: Limits
    stamper: Stamper
    token: str | None = None


def app_of(service: Service) -> Any:
    """The ASGI application, within its `Guard`."""
    metrics = Metrics()
    queue = DrawingQueue(service.limits.queue, metrics)
    encoders = ThreadPoolExecutor(cores.available(), thread_name_prefix="encoding")

    @contextlib.asynccontextmanager
    async def drawing(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(queue.run())
        yield
        task.cancel()
        encoders.shutdown()

    app = FastAPI(
        title="gancli", version=__version__, description="Images of trained generators, marked as generated.",
        docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=drawing,
        dependencies=[] if service.token is None else [Security(HTTPBearer(auto_error=False))],
    )  # fmt: skip
    _add_errors(app)
    _add_facts(app, service, metrics)
    _add_drawing(app, service, queue, encoders)
    paths = [getattr(route, "path", "") for route in app.routes]
    return Guard(app, paths, service.token, service.limits.timeout, metrics)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return JSONResponse({"detail": str(error)}, error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"detail": in_one_line(error.errors())}, 422)


def _add_facts(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/healthz", summary="Tell that the service is there")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def counters() -> Response:
        return Response(metrics.as_text(), media_type=CONTENT_TYPE)

    @app.get("/v1/models", summary="Describe all generators")
    async def models() -> dict[str, Any]:
        return {"models": [model.describe() for model in service.models.values()]}

    @app.get("/v1/model", summary="Describe one generator", responses={404: ANSWERS[404]})
    async def model(name: str | None = None) -> dict[str, Any]:
        return model_called(name, service.models).describe()

    @app.get("/", include_in_schema=False)
    async def for_people() -> Response:
        content, policy = page()
        return HTMLResponse(content, headers={"Content-Security-Policy": policy})


def _add_drawing(app: FastAPI, service: Service, queue: DrawingQueue, encoders: ThreadPoolExecutor) -> None:
    @app.post("/v1/images", summary="Draw images", response_class=Response, responses=ANSWERS)
    async def images(wanted: Wanted, accept: Annotated[str, Header()] = "*/*") -> Response:
        """One image is answered as the picture itself, several as a ZIP file of pictures.

        With `Accept: application/json` they are base64 in JSON. `npy` is one array, uint8 (N, H, W, C).
        """
        if wanted.format == "npy" and service.stamper.label is not None:
            raise Refused(422, "format npy has no place for the label that this service draws under its pictures.")
        planned = plan(wanted, service.models)
        drawing = planned.drawing
        with queue.place():
            drawn = await queue.draw(planned.model, drawing.selection, planned.places)
            stamp, as_json = service.stamper.stamp(drawing.mark), JSON in accept.lower()
            made = await asyncio.get_running_loop().run_in_executor(
                encoders, answer, planned, drawn, wanted.format, stamp, as_json
            )
        headers = {"Content-Disposition": f'inline; filename="{made.name}"', "Vary": "Accept"}
        return Response(made.content, media_type=made.type, headers=headers)


@lru_cache
def page() -> tuple[str, str]:
    """The page for people, and its Content-Security-Policy: its own script and style, pictures, and this service."""
    content = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    script, style = (_hash_of(content, tag) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return content, policy


def _hash_of(content: str, tag: str) -> str:
    (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", content, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
