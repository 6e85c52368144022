"""What the measurements on a GPU come to, in lines that fit a screen.

python benchmarks/gpu_table.py benchmarks/gpu.json
"""

import sys
from pathlib import Path

from gpu_rows import Row, read


def print_table(rows: list[Row]) -> None:
    """A line for every check that failed and for every way that was timed."""
    for card in dict.fromkeys(row["card"] for row in rows):
        parts = {
            name: [row for row in rows if (row["card"], row["part"]) == (card, name)]
            for name in dict.fromkeys(row["part"] for row in rows)
        }
        print(f"\n## {card}, torch {rows[0]['torch']}")
        for name, found in parts.items():
            failed = [row for row in found if "error" in row]
            print(f"\n{name}: {len(found)} tasks, {len(failed)} of them failed")
            for row in failed:
                print(f"  {row['name']}: {row['error'].splitlines()[0][:200]}")
            skipped = [row for row in found if isinstance(row.get("skipped"), str)]
            for reason in dict.fromkeys(row["skipped"] for row in skipped):
                print(f"  {', '.join(row['name'] for row in skipped if row['skipped'] == reason)}: {reason}")
            PRINTED[name]([row for row in found if row not in failed and row not in skipped])


def _checks(rows: list[Row]) -> None:
    for row in rows:
        if row.get("passed") is False:
            said = f"{row['difference']:.1e} of {row['of']}" if "of" in row else ", ".join(row["differences"])
            print(f"  {row['name']}: differs by {said}")
    found = [row["difference"] for row in rows if row.get("passed") and "difference" in row]
    print(f"  {sum(bool(row.get('passed')) for row in rows)} passed" + (f", at most {max(found):.1e}" if found else ""))


def _tests(rows: list[Row]) -> None:
    for row in rows:
        print(f"  {row['name']}: {row['passed']} passed, {row['failed']} failed, {row['skipped']} skipped")
        for line in row["failures"]:
            print("    " + line.replace("\n", "\n    "))


def _speed(rows: list[Row]) -> None:
    """Milliseconds, images a second, times the example's loop, and shares of the peaks."""
    example = {_case(row): row["milliseconds"]["example"] for row in rows if "gflop" not in row}
    heads = ("case", "way", "ms", "images/s", "times the example", "of the product", "of the convolution")
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for row in rows:
        case, counted = _case(row), "gflop" in row
        for way, milliseconds in row["milliseconds"].items():
            cells = [case, f"{row['name'].split(', ')[-2]} {way}" if counted else way]
            cells += [f"{milliseconds:.3f}", str(row["images_per_s"][way])]
            cells.append(f"{example[case] / milliseconds:.2f}" if case in example else "")
            cells += [f"{row['share_of_peak'][of][way]:.1%}" if counted else "" for of in ("product", "convolution")]
            print(f"| {' | '.join(cells)} |")


def _case(row: Row) -> str:
    """Its name without what was measured of it."""
    return row["name"].rsplit(", ", 2 if "gflop" in row else 1)[0]


def _idle(rows: list[Row]) -> None:
    for row in rows:
        print(f"  {row['name']}: " + ", ".join(f"{name} {share:.1%}" for name, share in row["idle"].items()))


def _train(rows: list[Row]) -> None:
    for row in rows:
        run = row["run"]
        print(f"  {row['name']}: {row['recipe']}, {run.get('steps')} steps, best {run.get('best')}, {row['pictures']}")


PRINTED = {"tests": _tests, "parity": _checks, "resume": _checks, "speed": _speed, "idle": _idle, "train": _train}

if __name__ == "__main__":
    print_table(read(Path(sys.argv[1])))
