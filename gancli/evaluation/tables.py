"""Format figures with their errors, and tables of them for a terminal or a notebook."""

import html
import io
import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

MAX_WIDTH = 10_000
"""Characters of a line; tables are never cut."""


def new_table(columns: Sequence[str], left: Sequence[str]) -> Table:
    """An empty table without frames; columns that are not ``left`` are aligned to the right."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    return table


def table_as_text(table: Table) -> str:
    """The table in full width: a terminal wraps long lines, but numbers must not be cut."""
    console = Console(file=io.StringIO(), width=MAX_WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def with_error(value: float | None, error: float | None) -> str:
    """A value with its error, to the digits that the error leaves; ``-`` for None.

    Example:
        >>> with_error(0.12345, 0.00412), with_error(0.12345, None), with_error(None, None)
        ('0.123 ± 0.004', '0.1235', '-')
    """
    if value is None:
        return "-"
    if not error or not math.isfinite(value) or error < 1e-4 * abs(value):
        return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.1g}"
    if error < 1e-4:
        return f"{value:.3g} ± {error:.1g}"
    exponent = math.floor(math.log10(error))
    decimals = max(0, -exponent + (error < 2 * 10**exponent))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def multiple(times: float | None) -> str:
    """A multiple such as ``3.2``; empty for None."""
    return "" if times is None else f"{times:,.0f}" if times >= 100 else f"{times:.1f}"


def as_text(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str], below: Iterable[str]) -> str:
    """A table and lines below it."""
    table = new_table(heads, left)
    for row in rows:
        table.add_row(*row)
    return "\n".join([table_as_text(table), *below])


def as_html(heads: Sequence[str], rows: Iterable[Sequence[str]], below: Iterable[str]) -> str:
    """The same for a notebook."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in below)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{lines}"
