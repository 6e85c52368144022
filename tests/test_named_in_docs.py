"""The pages name commands, flags, files and targets of make that exist; those for several processes run in one."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from gancli import cli
from gancli.config.commands import COMMANDS
from gancli.config.settings import declarations

ROOT = Path(__file__).parents[1]
MADE = ROOT / "docs" / "reference.md"
PAGES = [*ROOT.glob("*.md"), *sorted(set((ROOT / "docs").glob("*.md")) - {MADE})]
FLAGS = {
    command: {flag for each in declarations(cls).values() for pair in each.flags for flag in pair.split("/")}
    for command, cls in COMMANDS.items()
}
OF_EVERY_COMMAND = {"--help"}
OF_OTHER_TOOLS = {"--gpu", "--learning-rate", "--ignore-scripts", "--signal"}
OF_EXAMPLES = {"gancli/recipes/hinge.py", "--patience"}
FLAG = r"(?<![\w-])--[a-z][\w-]*"
SMALL = shlex.split(
    "--data digits --image-size 8 --recipe vanilla --batch-size 32 --steps 2 --threads 1 --matmul default"
)


def blocks_of(page: Path) -> list[str]:
    """The commands of a page's blocks, one a line."""
    blocks = re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text(), re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", "").splitlines()]


def spans_of(page: Path) -> list[str]:
    """Code inside of a page's sentences."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def missing_from(code: str) -> Iterator[str]:
    """The commands, flags, targets and files that the code names and that are not there."""
    flags = set(re.findall(FLAG, code)) - OF_EVERY_COMMAND - OF_EXAMPLES
    if match := re.match(r"gancli (data \w+|[a-z][a-z-]*)", code):
        yield from flags - FLAGS.get(match[1], set())
        yield from {match[1]} - FLAGS.keys()
    elif code.startswith("--"):
        yield from flags - set().union(*FLAGS.values()) - OF_OTHER_TOOLS
    elif match := re.match(r"make ([a-z-]+)", code):
        yield from [] if f"\n{match[1]}:" in (ROOT / "Makefile").read_text() else [code]
    elif match := re.match(r"(?:python )?((?:benchmarks|configs|docs|gancli|tests)/[\w./-]+)", code):
        yield from named_in(match[1], flags)


def named_in(name: str, flags: set[str]) -> Iterator[str]:
    """The file itself if it is not there, else the flags that its code does not know."""
    path = ROOT / name
    if name in OF_EXAMPLES:
        return
    if not path.exists():
        yield name
    elif path.suffix == ".py":
        yield from {flag for flag in flags if f'"{flag}"' not in path.read_text()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_what_is_there(page: Path) -> None:
    assert [missing for code in [*spans_of(page), *blocks_of(page)] for missing in missing_from(code)] == []


LAUNCHED = [line for page in PAGES for line in blocks_of(page) if "torchrun " in line]


@pytest.mark.parametrize("line", LAUNCHED)
def test_a_command_for_several_processes_is_understood(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.partition("torchrun ")[2].removesuffix("&"), comments=True)
    launch = get_args_parser().parse_args(words)
    assert launch.module and launch.training_script == "gancli"
    command, *arguments = launch.training_script_args
    arguments = [word.replace("/shared/", "") for word in arguments]
    assert cli.run([command, *arguments, *SMALL]) == 0, capsys.readouterr().err
    assert list(tmp_path.glob("runs/**/gen.pth"))
