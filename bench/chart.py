"""Draw docs/img/performance-steps.svg from bench/steps.json: what each step took off the CPU of a transfer.

`make docs` runs it. A step is measured by `make bench` at its commit; `by_pgbench` is null where it was not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from infra.local.layout import CHECKOUT

STEPS = CHECKOUT / "bench" / "steps.json"
CHART = CHECKOUT / "docs" / "img" / "performance-steps.svg"
WIDTH, ROW, TOP, LEFT, RIGHT = 960, 34, 64, 430, 190
_STYLE = """\
svg { color-scheme: light dark; font-family: system-ui, sans-serif; font-size: 13px; }
.paper { fill: #ffffff; } text { fill: #1c2430; } .quiet { fill: #56606e; } .bar { fill: #2c7a45; }
.title { font-weight: 600; font-size: 15px; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #12161c; } text { fill: #e6eaf0; } .quiet { fill: #a4aebb; } .bar { fill: #58b374; }
}"""


@dataclass(frozen=True, slots=True)
class Step:
    """What one transfer cost once this step was done: CPU milliseconds in user_app, and its rate by pgbench's."""

    step: str
    user_app_ms: float
    by_pgbench: float | None


def read_steps(file: Path = STEPS) -> list[Step]:
    """The steps in their order."""
    return [Step(**each) for each in json.loads(file.read_text(encoding="utf-8"))]


def draw(steps: Sequence[Step]) -> str:
    """The chart: one bar per step, with its figures beside it."""
    height = TOP + ROW * len(steps) + 16
    most = max(step.user_app_ms for step in steps)
    description = "; ".join(f"{step.step}: {step.user_app_ms:g} ms" for step in steps)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d">',
        f'<title id="t">CPU of a transfer, step by step</title><desc id="d">{escape(description)}</desc>',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        '<text class="title" x="16" y="28">CPU in user_app per transfer, step by step</text>',
        '<text class="quiet" x="16" y="48">milliseconds, and the rate over pgbench\'s where it was measured</text>',
    ]
    for number, step in enumerate(steps):
        drawn += _bar(step, TOP + ROW * number, (WIDTH - LEFT - RIGHT) * step.user_app_ms / most)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _bar(step: Step, top: int, length: float) -> list[str]:
    figures = f"{step.user_app_ms:g} ms"
    if step.by_pgbench is not None:
        figures += f" · {step.by_pgbench:g} of pgbench"
    return [
        f'<text x="{LEFT - 12}" y="{top + 20}" text-anchor="end">{escape(step.step)}</text>',
        f'<rect class="bar" x="{LEFT}" y="{top + 5}" width="{max(length, 2):.1f}" height="{ROW - 12}" rx="3"/>',
        f'<text x="{LEFT + max(length, 2) + 10:.1f}" y="{top + 20}">{figures}</text>',
    ]


def main() -> None:
    """Draw the chart again."""
    CHART.write_text(draw(read_steps()), encoding="utf-8")


if __name__ == "__main__":
    main()
