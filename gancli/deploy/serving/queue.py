"""The queue of drawings: waiting requests for one generator share its forward passes."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gancli.deploy.serving.metrics import Metrics
from gancli.deploy.serving.models import Model
from gancli.deploy.serving.refusal import Refused
from gancli.errors import is_out_of_memory
from gancli.sampling.drawing import draw_latents
from gancli.sampling.generator import latents_of, truncating
from gancli.sampling.selection import Selection


@dataclass(frozen=True, eq=False)
class Job:
    """The images of one request."""

    model: Model
    selection: Selection
    places: range
    """The images of the selection to draw."""
    drawn: asyncio.Future[Tensor] = field(default_factory=asyncio.Future)


class DrawingQueue:
    """Draws in one thread; while it draws, further jobs wait, and then those of one generator are drawn together."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self.limit, self.metrics = limit, metrics
        self.in_work = 0
        """Requests that wait or are being answered."""
        self._waiting: deque[Job] = deque()
        self._filled = asyncio.Event()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for one request while it is answered; Refused (429) if there is none."""
        if self.in_work >= self.limit:
            self.metrics.refused.labels("queue is full").inc()
            raise Refused(429, f"{self.limit} requests are in work already; try again in a moment.", retry_after=1)
        self.in_work += 1
        self.metrics.in_work.set(self.in_work)
        try:
            yield
        finally:
            self.in_work -= 1
            self.metrics.in_work.set(self.in_work)

    async def draw(self, model: Model, selection: Selection, places: range) -> Tensor:
        """Images of the selection, uint8 ``(len(places), C, H, W)``; Refused (503) if memory does not suffice."""
        job = Job(model, selection, places)
        self._waiting.append(job)
        self._filled.set()
        return await job.drawn

    async def run(self) -> None:
        """Draw until this task is cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="drawing") as thread:
            while True:
                await self._filled.wait()
                jobs = self._next()
                if not jobs:
                    continue
                try:
                    parts = await loop.run_in_executor(thread, self._drawn, jobs)
                except Exception as error:
                    _fail(jobs, error)
                else:
                    for job, part in zip(jobs, parts, strict=True):
                        if not job.drawn.done():
                            job.drawn.set_result(part)

    def _next(self) -> list[Job]:
        """Take the first job and others for its generator, as many as one forward pass takes.

        Jobs that nobody waits for any more are dropped. Each list starts with the oldest job, so none waits forever.
        """
        alive = [job for job in self._waiting if not job.drawn.done()]
        taken: list[Job] = []
        for job in alive:
            images = sum(len(other.places) for other in (*taken, job))
            if not taken or (job.model is taken[0].model and images <= job.model.rows):
                taken.append(job)
        self._waiting = deque(job for job in alive if job not in taken)
        if not self._waiting:
            self._filled.clear()
        return taken

    def _drawn(self, jobs: Sequence[Job]) -> Sequence[Tensor]:
        """The images of each job; runs in the thread."""
        model = jobs[0].model
        generator, count = model.generator, sum(len(job.places) for job in jobs)
        chosen = [latents_of(generator, job.selection, job.places) for job in jobs]
        latents, shares = (torch.cat(column) for column in zip(*chosen, strict=True))
        each = [job.selection.labels_at(job.places, generator.choices) or [] for job in jobs]
        labels = [label for part in each for label in part] or None
        parts = []
        for start in range(0, count, model.rows):
            if all(job.drawn.done() for job in jobs):
                raise TimeoutError("nobody waits for these images any more")
            rows = slice(start, start + model.rows)
            of_rows, through = labels[rows] if labels else None, truncating(generator, shares[rows])
            parts.append(draw_latents(generator.network, latents[rows], of_rows, None, through))
            self.metrics.images_per_pass.observe(len(parts[-1]))
        self.metrics.images.labels(model.name).inc(count)
        return torch.cat(parts).split([len(job.places) for job in jobs])


def _fail(jobs: Sequence[Job], error: Exception) -> None:
    known = Refused(503, "memory does not suffice for this drawing; ask for fewer images.", retry_after=5)
    for job in jobs:
        if not job.drawn.done():
            job.drawn.set_exception(known if is_out_of_memory(error) else error)
