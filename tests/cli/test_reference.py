"""docs/reference.md says what the declarations say."""

from pathlib import Path

from gancli.cli.reference import page

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_is_current() -> None:
    assert REFERENCE.read_text().rstrip().splitlines() == "\n".join(page()).rstrip().splitlines(), "run: make reference"
