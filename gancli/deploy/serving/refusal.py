"""The error that becomes an HTTP status with a reason."""

from gancli.errors import GancliError


class Refused(GancliError):
    """A request cannot be answered; the message says why."""

    def __init__(self, status: int, reason: str, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
