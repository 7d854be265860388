"""Draw docs/img/architecture.svg: the processes, the one way that money takes, and the outside world."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal

WIDTH, HEIGHT = 960, 590
_LINE_HEIGHT = 17
_TITLE = "How Batua is built"
_DESCRIPTION = (
    "People use user_app and shops use merchant_app. Banks send signed notices to bank_webhook; withdraw_worker sends "
    "payouts to banks. All four call the flows, which move money only through the ledger. The ledger "
    "writes to Postgres. The scheduler, whose lease is in Postgres, and withdraw_worker exchange hints over Redis."
)
_STYLE = """\
svg { color-scheme: light dark; font-family: system-ui, sans-serif; font-size: 13px; }
.paper { fill: #ffffff; } text { fill: #1c2430; } .quiet { fill: #56606e; }
.box { fill: #f3f5f8; stroke: #8a94a3; } .outside { fill: #ffffff; stroke: #8a94a3; stroke-dasharray: 2 3; }
.money { fill: #e2f2e6; stroke: #2c7a45; stroke-width: 2; } .arrow { fill: none; stroke: #56606e; stroke-width: 1.5; }
.hint { stroke-dasharray: 6 4; } .tip { fill: #56606e; } .title { font-weight: 600; font-size: 14px; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #12161c; } text { fill: #e6eaf0; } .quiet { fill: #a4aebb; }
  .box { fill: #1d242d; stroke: #6b7684; } .outside { fill: #12161c; stroke: #6b7684; }
  .money { fill: #17331f; stroke: #58b374; } .arrow { stroke: #a4aebb; } .tip { fill: #a4aebb; }
}"""

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path class="tip" d="M0,0 L8,4 L0,8 Z"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Box:
    """A process, a room or a party; positions in pixels from the top left."""

    left: int
    top: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    look: Literal["box", "outside", "money"] = "box"

    def draw(self) -> list[str]:
        middle = self.left + self.width // 2
        first = self.top + self.height // 2 + 5 - _LINE_HEIGHT * len(self.lines) // 2
        size = f'width="{self.width}" height="{self.height}"'
        drawn = [f'<rect class="{self.look}" x="{self.left}" y="{self.top}" {size} rx="8"/>']
        for number, line in enumerate((self.title, *self.lines)):
            look = "title" if number == 0 else "quiet"
            drawn.append(_text(line, middle, first + _LINE_HEIGHT * number, look, "middle"))
        return drawn


@dataclass(frozen=True, slots=True)
class _Arrow:
    """A call, or a hint that may be lost, along an SVG path."""

    path: str
    label: str = ""
    at: tuple[int, int] = (0, 0)
    is_hint: bool = False

    def draw(self) -> list[str]:
        look = "arrow hint" if self.is_hint else "arrow"
        drawn = [f'<path class="{look}" d="{self.path}" marker-end="url(#tip)"/>']
        return [*drawn, _text(self.label, *self.at, "quiet", "start")] if self.label else drawn


def _text(words: str, x: int, y: int, look: str, anchor: str) -> str:
    return f'<text class="{look}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


_BOXES = (
    _Box(40, 20, 160, 56, "People", ("browser or API",), "outside"),
    _Box(220, 20, 160, 56, "Shops", ("browser or API",), "outside"),
    _Box(400, 20, 360, 56, "Banks: HDFC, Axis", ("simulated by dummy_bank, with books of their own",), "outside"),
    _Box(40, 150, 160, 72, "user_app", ("add, send, pay,", "withdraw, pots")),
    _Box(220, 150, 160, 72, "merchant_app", ("takings, refunds,", "withdraw")),
    _Box(400, 150, 160, 72, "bank_webhook", ("checks the signature,", "needs Postgres only")),
    _Box(580, 150, 180, 72, "withdraw_worker", ("payouts, enquiries,", "mail, sweeps")),
    _Box(800, 150, 130, 72, "scheduler", ("regular work",)),
    _Box(
        40,
        280,
        690,
        64,
        "Flows: one function for each use",
        ("on-ramps, transfers, withdrawals; each movement once, by its key",),
    ),
    _Box(
        40,
        388,
        690,
        72,
        "Ledger: the only writer of money",
        ("rules.py decides, post.py locks and writes,", "group_commit.py gathers what arrives together"),
        "money",
    ),
    _Box(40, 504, 690, 56, "PostgreSQL: the only truth", ("append-only entries, holds, keys, queues",)),
    _Box(800, 280, 130, 64, "Redis", ("broker, cache;", "may be lost")),
)
_ARROWS = (
    _Arrow("M120,76 V144"),
    _Arrow("M300,76 V144"),
    _Arrow("M170,150 V112 H440 V82", "opens netbanking", (182, 106)),
    _Arrow("M500,76 V144", "signed notices", (508, 118)),
    _Arrow("M670,150 V82", "payouts, enquiries", (678, 118)),
    *(_Arrow(f"M{x},222 V274") for x in (120, 300, 480, 650)),
    _Arrow("M385,344 V382"),
    _Arrow("M385,460 V498", "one transaction", (393, 485)),
    _Arrow("M865,222 V274", "hints", (873, 252), is_hint=True),
    _Arrow("M800,312 H745 V228", is_hint=True),
    _Arrow("M930,200 H944 V532 H736", "lease, what was sent", (790, 525)),
)


def architecture_picture() -> str:
    """The text of docs/img/architecture.svg; it follows the reader's choice of a light or a dark page."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(_TITLE)}</title>',
        f'<desc id="d">{escape(_DESCRIPTION)}</desc>',
        "<!-- Written by `make docs` from infra/documentation/picture.py. -->",
        f"<style>\n{_STYLE}\n</style>",
        _TIP,
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="12"/>',
    )
    shapes: tuple[_Box | _Arrow, ...] = (*_BOXES, *_ARROWS)
    drawn = [line for shape in shapes for line in shape.draw()]
    return "\n".join([*head, *drawn, "</svg>", ""])
