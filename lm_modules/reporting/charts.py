"""Charts as inline SVG, drawn by hand: a few kilobytes each, in the colours of the page (light, dark and print).

Lines and histograms live in a fixed frame that scales with the page; the one-dimensional pictures of table cells
(bar, whisker) use percentages, so that they stretch while their strokes and dots keep their size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

from lm_modules.reporting.facts import Interval, Points
from lm_modules.reporting.words import short

WIDTH, HEIGHT = 420, 232
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 12, 34
MAX_POINTS = 400
"""Longer curves are thinned to this many points; nobody sees more on a page."""


@dataclass(frozen=True)
class Series:
    """A curve and how it is drawn: `main`, `second` or `faint`."""

    points: Points
    name: str = ""
    look: str = "main"


def line_chart(
    series: list[Series], words: str, x_title: str = "step", level: tuple[str, float] | None = None
) -> Markup:
    """Draw curves over a shared horizontal axis; `level` is a named horizontal line to compare with."""
    drawn = [each for each in series if any(math.isfinite(value) for _, value in each.points)]
    points = [point for each in drawn for point in each.points if math.isfinite(point[1])]
    values = [value for _, value in points] + ([level[1]] if level else [])
    frame = _Frame.around([step for step, _ in points], values)
    shapes = [frame.axes(x_title)]
    if level:
        y = frame.y(level[1])
        shapes.append(Markup('<path class="level" d="M{} {:.1f}H{}"/>').format(LEFT, y, WIDTH - RIGHT))
        shapes.append(_text(WIDTH - RIGHT, y - 5, level[0], "end level"))
    for each in drawn:
        shapes.append(Markup('<path class="line {}" d="{}"/>').format(each.look, frame.path(each.points)))
        if len(each.points) == 1:
            shapes.append(
                Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(*frame.at(*each.points[0]))
            )
    return _picture(shapes, words)


def histogram(bins: list[tuple[float, float, float]], words: str, x_title: str = "") -> Markup:
    """Draw bins (from, to, share) on a logarithmic axis; the area of a bar is its share."""
    wide = [(math.log10(low), math.log10(high), share) for low, high, share in bins if 0 < low < high]
    heights = [share / (high - low) for low, high, share in wide]
    ends = [end for low, high, _ in wide for end in (low, high)]
    frame = _Frame.around(ends, [0.0, *heights])
    shapes = [frame.axes(x_title, x_labels=False, y_labels=False)]
    for (low, high, _), height in zip(wide, heights, strict=True):
        x, y = frame.at(low, height)
        shapes.append(
            Markup('<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                x, y, max(0.5, frame.x(high) - x - 1), frame.y(0) - y
            )
        )
    for power in range(math.ceil(frame.x_low), math.floor(frame.x_high) + 1):
        shapes.append(_text(frame.x(power), HEIGHT - BOTTOM + 14, short(10.0**power), "middle"))
    return _picture(shapes, words)


def bar(fraction: float, words: str, look: str = "bar") -> Markup:
    """Draw a bar of a fraction of the cell's width."""
    return _strip(
        Markup('<rect class="track" y="5" width="100%" height="8" rx="4"/>')
        + Markup('<rect class="{}" y="5" width="{:.2f}%" height="8" rx="4"/>').format(look, _percent(fraction)),
        words,
    )


def whisker(estimate: Interval, low: float, high: float, words: str, look: str = "main", zero: bool = False) -> Markup:
    """Draw an estimate as a dot and its interval as a line, on a scale from `low` to `high`; `zero` marks zero."""
    span = (high - low) or 1.0
    left, middle, right = (_percent((value - low) / span) for value in (estimate.low, estimate.value, estimate.high))
    shapes = Markup('<line class="rail" x1="0" x2="100%" y1="9" y2="9"/>')
    if zero and low <= 0 <= high:
        shapes += Markup('<line class="zero" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="18"/>').format(
            _percent(-low / span)
        )
    shapes += Markup('<line class="whisker {}" x1="{:.2f}%" x2="{:.2f}%" y1="9" y2="9"/>').format(look, left, right)
    for end in (left, right):
        shapes += Markup('<line class="cap {0}" x1="{1:.2f}%" x2="{1:.2f}%" y1="5" y2="13"/>').format(look, end)
    shapes += Markup('<circle class="dot {}" cx="{:.2f}%" cy="9" r="3.5"/>').format(look, middle)
    return _strip(shapes, words)


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) that lie within `low` and `high`."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


@dataclass(frozen=True)
class _Frame:
    """The rectangle that a chart is drawn in, and its two scales."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    @classmethod
    def around(cls, xs: list[float], ys: list[float]) -> _Frame:
        x_low, x_high = min(xs, default=0.0), max(xs, default=1.0)
        y_low, y_high = min(ys, default=0.0), max(ys, default=1.0)
        margin = 0.04 * (y_high - y_low) or 0.04 * abs(y_high) or 1.0
        y_bottom = 0.0 if 0 <= y_low < 0.25 * y_high else y_low - margin
        return cls(x_low, x_high if x_high > x_low else x_low + 1, y_bottom, y_high + margin)

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.x(x), self.y(y)

    def path(self, points: Points) -> str:
        """Return the drawing commands of a curve; a value that is not finite breaks the line."""
        commands, pen_down = [], False
        for step, value in _thinned(points):
            if math.isfinite(value):
                commands.append(f"{'L' if pen_down else 'M'}{self.x(step):.1f} {self.y(value):.1f}")
            pen_down = math.isfinite(value)
        return "".join(commands)

    def axes(self, x_title: str, x_labels: bool = True, y_labels: bool = True) -> Markup:
        parts = [Markup("")]
        for value in nice_ticks(self.y_low, self.y_high):
            y = self.y(value)
            parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(LEFT, y, WIDTH - RIGHT))
            if y_labels:
                parts.append(_text(LEFT - 6, y + 4, short(value), "end"))
        if x_labels:
            for value in nice_ticks(self.x_low, self.x_high):
                parts.append(_text(self.x(value), HEIGHT - BOTTOM + 14, short(value), "middle"))
        parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x_title, "middle title"))
        return Markup("").join(parts)


def _thinned(points: Points) -> Points:
    if len(points) <= MAX_POINTS:
        return points
    stride = math.ceil(len(points) / MAX_POINTS)
    return [*points[::stride], points[-1]]


def _text(x: float, y: float, text: str, look: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(look, x, y, text)


def _percent(fraction: float) -> float:
    return 100 * min(1.0, max(0.0, fraction))


def _strip(shapes: Markup, words: str) -> Markup:
    return Markup('<svg class="strip" role="img" aria-label="{}">{}</svg>').format(words, shapes)


def _picture(shapes: list[Markup], words: str) -> Markup:
    return Markup('<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
        escape(words), WIDTH, HEIGHT, Markup("").join(shapes)
    )
