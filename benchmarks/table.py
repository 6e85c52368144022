"""The table of benchmarks/vanilla_mnist.json, as Markdown.

python benchmarks/table.py
"""

import json
from pathlib import Path
from statistics import mean
from typing import Any


def spread(values: list[float]) -> str:
    """The mean, and the range over seeds where there are several."""
    text = f"{mean(values):.3g}"
    return f"{text} ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else text


def figure(result: dict[str, Any], metric: str, group: str = "figures") -> float:
    """One metric's value, whatever the features are called."""
    return next(value for name, value in result[group].items() if name.startswith(f"{metric}_"))


def main() -> None:
    """Print a row for each setting, then the line of real images."""
    results = json.loads(Path(__file__).with_name("vanilla_mnist.json").read_text())
    print("| setting | seeds | epochs | distance | coverage | precision | D's loss at the end |")
    print("|---|---|---|---|---|---|---|")
    for row in dict.fromkeys(result["row"] for result in results):
        found = [result for result in results if result["row"] == row]
        cells = [spread([figure(result, metric) for result in found]) for metric in ("fd", "coverage", "precision")]
        loss = spread([result["last_metrics"]["d/adv"] for result in found])
        print(f"| {row} | {len(found)} | {found[0]['epochs']:g} | {' | '.join(cells)} | {loss} |")
    real = [f"{figure(results[0], metric, 'real'):.3g}" for metric in ("fd", "coverage", "precision")]
    print(f"| real images | | | {' | '.join(real)} | |")


if __name__ == "__main__":
    main()
