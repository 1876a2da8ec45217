"""Numbers as people read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lm_modules.reporting.facts import Comparison, Interval, Points

_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def number(value: Any, digits: int = 4) -> str:
    """Return a value for a table: from a thousand on in whole numbers, below to `digits` significant digits."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return count(round(value)) if 1000 <= abs(value) < 1e15 else f"{value:.{digits}g}"
    if isinstance(value, list | tuple):
        return ", ".join(number(each, digits) for each in value)
    return str(value)


def count(value: int) -> str:
    """Return a whole number with a narrow space between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def short(value: float) -> str:
    """Return a number for the axis of a chart: 12k, 0.5, 3e-4."""
    for unit, size in _UNITS:
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    if value and abs(value) < 1e-2:
        mantissa, exponent = f"{value:.2g}".split("e") if "e" in f"{value:.2g}" else (f"{value:.2g}", "")
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return f"{value:.3g}"


def size(num_bytes: float) -> str:
    """Return a number of bytes in kB, MB or GB."""
    for unit, factor in _UNITS:
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}B"
    return f"{num_bytes:.0f} B"


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction as a percentage."""
    return f"{100 * fraction:.{digits}f} %"


def duration(seconds: float) -> str:
    """Return a time as people say it: 0.4 s, 48 s, 6 min 05 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def moment(iso: str) -> str:
    """Return an ISO 8601 time as `22 November 2026, 16:05 UTC`; a text that is not one is returned as it is."""
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{time.day} {time:%B %Y, %H:%M} {time.tzname() or ''}".strip()


def interval(estimate: Interval) -> str:
    """Return `0.812 (0.790 to 0.833)`."""
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def difference(comparison: Comparison) -> str:
    """Return `+0.041 (+0.012 to +0.070)`."""
    return f"{comparison.difference:+.3f} ({comparison.low:+.3f} to {comparison.high:+.3f})"


def curve(name: str, points: Points) -> str:
    """Return the course of a curve in one sentence: where it begins, where it ends, its lowest point."""
    (first_step, first), (last_step, last) = points[0], points[-1]
    lowest_step, lowest = min(points, key=lambda point: point[1])
    return (
        f"{name}: {number(first)} at step {number(int(first_step))}, {number(last)} at step {number(int(last_step))}; "
        f"lowest {number(lowest)} at step {number(int(lowest_step))}."
    )


def figure(key: str, value: Any) -> str:
    """Return a reported value; one whose key ends in `seconds` as a time."""
    if key.endswith("seconds") and isinstance(value, int | float):
        return duration(value)
    return number(value)


def title(key: str) -> str:
    """Return a key as words: `num_documents` is `documents`, `bits_per_byte` is `bits per byte`."""
    return key.removeprefix("num_").removesuffix("_seconds").replace("_", " ").replace("seconds", "time")


def metric(key: str) -> str:
    """Return the name of a metric as it is printed."""
    printed = {"macro_f1": "macro-F1", "bleu": "BLEU", "chrf": "chrF"}
    return printed.get(key, title(key).replace("rouge ", "ROUGE-").replace("-l", "-L"))
