"""``gancli serve``."""

from typing import TYPE_CHECKING

from gancli.cli import output

if TYPE_CHECKING:
    from gancli.config.serve_command import ServeFlags

LIBRARIES = ("fastapi", "uvicorn", "prometheus_client")


def serve(told: "ServeFlags") -> None:
    """Draw images for other programs and for people, over HTTP, until SIGINT or SIGTERM.

    [bold]gancli serve latest[/]

    [bold]gancli serve digits=runs/0001-digits-r3gan emoji=emoji.pth --port 8080[/]
    """
    output.set_up_log(told.quiet)
    from gancli.machine.extras import required

    for library in LIBRARIES:
        required(library, "serve", "gancli serve")
    from gancli.deploy.serving.server import serve as served

    def say(url: str, names: list[str]) -> None:
        output.print_result({"page": f"{url}/", "api": f"{url}/v1/images", "models": ", ".join(names)}, told.json)

    served(told, say)
