"""The fits of two contestants in a table, and what is to be seen there."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from aims import Aim

Seen = dict[str, float]
"""Of one fit: `score`, `seconds`, `processor` (seconds of all threads) and `steps`."""


def table(found: Mapping[str, Sequence[Seen]], metric: str) -> str:
    """Return the table of means, with the standard deviation over the seeds behind each."""
    lines = [f"{'':12}{metric:>18}{'seconds':>18}{'of processors':>18}{'steps':>8}"]
    for name, those in found.items():
        cells = [
            f"{mean(those, key):.{digits}f} ± {spread(those, key):.{digits}f}"
            for key, digits in (("score", 4), ("seconds", 1), ("processor", 1))
        ]
        lines.append(f"{name:12}" + "".join(f"{each:>18}" for each in cells) + f"{those[0]['steps']:>8.0f}")
    return "\n".join(lines)


def mean(those: Sequence[Seen], key: str) -> float:
    return statistics.mean(each[key] for each in those)


def spread(those: Sequence[Seen], key: str) -> float:
    """Return the standard deviation over the seeds; 0 of one."""
    return statistics.stdev(each[key] for each in those) if len(those) > 1 else 0.0


def aims(found: Mapping[str, Sequence[Seen]]) -> list[Aim]:
    """Return the aims: means no farther apart than the seeds of either, and no more time."""
    both = list(found.values())
    apart = abs(mean(both[0], "score") - mean(both[1], "score"))
    scores = [[each["score"] for each in those] for those in both]
    widest = max(max(those) - min(those) for those in scores)
    return [
        Aim("means apart, where the seeds of one differ by 1", apart / max(widest, 1e-9), 1, at_most=True),
        Aim("seconds where the Trainer takes 1", mean(both[0], "seconds") / mean(both[1], "seconds"), 1, at_most=True),
    ]
