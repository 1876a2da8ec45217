"""What the coordinate check measured, as lines over the width, and which of them leave their bounds.

Not judged are logits at birth, since a readout that begins at 1 / sqrt(width) belongs to muP; gradients after the
steps, which shrink with the loss; and what is zero at every width, by choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

AT_BIRTH = "at birth"
LOW, HIGH = 0.1, 10.0
"""Where a root mean square is to lie at birth."""
STEEPEST = 0.4
"""A line may grow or shrink with at most this power of the width; what is scaled wrongly goes with a half or more."""


@dataclass(frozen=True)
class Line:
    """One measure at every width."""

    parametrization: str
    when: str
    """at birth, or after so many steps"""
    part: str
    """embedding, attention, feed-forward, stream, logits or gradient"""
    name: str
    rms: dict[int, float] = field(default_factory=dict)
    """Root mean square by width."""

    @property
    def judged(self) -> bool:
        """Whether the line must keep to the bounds."""
        exempt = self.part == ("logits" if self.when == AT_BIRTH else "gradient")
        return not exempt and any(self.rms.values())

    @property
    def exponent(self) -> float:
        """The power of the width that fits best (least squares in logarithms); nan where a measure has none."""
        if not all(0 < each < math.inf for each in self.rms.values()):
            return math.nan
        xs, ys = [math.log(width) for width in self.rms], [math.log(each) for each in self.rms.values()]
        x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
        covariance = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
        return covariance / sum((x - x_mean) ** 2 for x in xs)

    @property
    def moves(self) -> bool:
        """Whether it grows or shrinks with the width, or is no number."""
        return self.judged and not abs(self.exponent) <= STEEPEST

    @property
    def leaves(self) -> bool:
        """Whether it lies out of bounds at birth; flat attention hardly depends on queries and keys, so their gradients
        may be small."""
        flat = self.part == "gradient" and self.name.endswith((".query", ".key"))
        low = 0.0 if flat else LOW
        return self.judged and self.when == AT_BIRTH and not all(low <= each <= HIGH for each in self.rms.values())

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "parametrization": self.parametrization,
            "when": self.when,
            "part": self.part,
            "name": self.name,
            "rms": {str(width): value for width, value in self.rms.items()},
            "exponent": None if math.isnan(self.exponent) else self.exponent,
            "judged": self.judged,
            "moves": self.moves,
            "leaves": self.leaves,
        }


FEWEST_WIDTHS = 3
"""Through two points goes a line, whatever they are: a third one tells noise from a power of the width."""


def remarks(widths: Sequence[int]) -> list[str]:
    """Return what weakens the verdict of a check of these widths."""
    if len(set(widths)) >= FEWEST_WIDTHS:
        return []
    return [
        f"{len(set(widths))} widths cannot tell noise from a fault: a line that moves may have come out so by chance. "
        "Measure three or more, each twice the one before"
    ]


def refuse_impossible(widths: Sequence[int], steps: int, head_width: int) -> None:
    """Raise a ValueError that says why these widths and steps cannot be measured."""
    if len(set(widths)) < 2:
        raise ValueError(f"a coordinate check needs at least two widths, not {list(widths)}; add another")
    if wrong := [width for width in widths if width < 1 or width % head_width]:
        raise ValueError(
            f"width {wrong[0]} is not a multiple of model.head_width {head_width}; take "
            f"{head_width * max(1, round(wrong[0] / head_width))} or another head_width"
        )
    if steps < 1:
        raise ValueError(f"a coordinate check needs at least one step, not {steps}")


def verdict(lines: Sequence[Line]) -> dict[str, Any]:
    """Return how many of the judged lines of a parametrization keep to the bounds, and those that break them most."""
    judged = [line for line in lines if line.judged]
    moving = sorted((line for line in judged if line.moves), key=lambda line: -abs(line.exponent))
    leaving = sorted((line for line in judged if line.leaves), key=_distance, reverse=True)
    return {
        "num_judged": len(judged),
        "num_moving": len(moving),
        "num_leaving": len(leaving),
        "steepest_exponent": max((abs(line.exponent) for line in judged), default=0.0),
        "moving": [f"{_name(line)}: width^{line.exponent:+.2f}" for line in moving],
        "leaving": [f"{_name(line)}: {_range(line)}" for line in leaving],
    }


def sentence(kind: str, found: dict[str, Any]) -> str:
    """Return a verdict in words."""
    steepest = f"steepest width^{found['steepest_exponent']:.2f}"
    if found["num_moving"]:
        size = f"{found['num_moving']} of {found['num_judged']} lines move with the width (first {found['moving'][0]})"
    else:
        size = f"all {found['num_judged']} lines keep their size at every width ({steepest})"
    if found["num_leaving"]:
        scale = f"{found['num_leaving']} begin outside {LOW:g} to {HIGH:g} (first {found['leaving'][0]})"
    else:
        scale = f"all begin within {LOW:g} to {HIGH:g}"
    return f"{kind}: {size}; {scale}"


def _name(line: Line) -> str:
    return f"{line.part} {line.name} {line.when}".replace("  ", " ")


def _range(line: Line) -> str:
    return f"{min(line.rms.values()):.2g} to {max(line.rms.values()):.2g}"


def _distance(line: Line) -> float:
    return max(abs(math.log(max(each, 1e-30))) if math.isfinite(each) else math.inf for each in line.rms.values())
