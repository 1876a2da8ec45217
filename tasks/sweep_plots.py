"""Pictures of a sweep: how the best figure rose, what mattered, and which values went with which figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.sweep_result import SweepResult, TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"complete": "#1f6f4a", "pruned": "#c9a227"}


def figures(result: SweepResult) -> dict[str, Figure]:
    """Return the pictures that the trials allow, by file name."""
    drawn = {"sweep_history.png": _history(result)}
    if result.importances:
        drawn["sweep_importances.png"] = _importances(result)
    if len(_shown(result)) > 1 and _varied(result):
        drawn["sweep_parallel_coordinates.png"] = _parallel_coordinates(result)
    return drawn


def draw(result: SweepResult, directory: Path) -> list[Path]:
    """Write the pictures as PNG files into a directory and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures(result).items():
        paths.append(directory / name)
        figure.savefig(paths[-1], dpi=120)
    return paths


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # without pyplot: no window system, nothing shared between threads

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _shown(result: SweepResult) -> list[TrialRecord]:
    return [each for each in result.trials if each.state in COLOURS and each.value is not None]


def _varied(result: SweepResult) -> list[str]:
    """Return the fields that differ between the trials."""
    trials = _shown(result)
    paths = dict.fromkeys(path for each in trials for path in each.values)
    return [path for path in paths if len({str(each.values.get(path)) for each in trials}) > 1]


def _history(result: SweepResult) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure, axes = _axes(6.4, 3.6)
    for state, colour in COLOURS.items():
        some = [each for each in _shown(result) if each.state == state]
        if some:
            axes.scatter([each.number for each in some], [_value(each) for each in some], color=colour, label=state)
    better: Callable[..., float] = max if result.direction == "maximize" else min
    # a repeat may by its seed lie above the trial that wins
    complete = [each for each in result.trials if each.state == "complete" and each.repeat_of is None]
    best = list(accumulate((_value(each) for each in complete), better))
    axes.step([each.number for each in complete], best, where="post", color=COLOURS["complete"], label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(result.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return figure


def _importances(result: SweepResult) -> Figure:
    figure, axes = _axes(6.4, 1.2 + 0.4 * len(result.importances))
    shares = sorted(result.importances.items(), key=lambda each: each[1])
    bars = axes.barh([path for path, _ in shares], [share for _, share in shares], color=COLOURS["complete"])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlim(0, 1.1)
    axes.set_xlabel(f"share of the differences in {result.metric} (fANOVA)")
    return figure


def _parallel_coordinates(result: SweepResult) -> Figure:
    """Draw one line a trial across one axis a field, the figure last; the darker the better."""
    trials, paths = _shown(result), _varied(result)
    columns = [_positions([each.values.get(path) for each in trials]) for path in paths]
    columns.append(_positions([each.value for each in trials], allow_log=False))
    names = [*paths, result.metric]
    figure, axes = _axes(1.8 * len(names) + 1.5, 4.2)
    order = columns[-1][0] if result.direction == "maximize" else [1 - each for each in columns[-1][0]]
    for row, trial in enumerate(trials):
        heights = [positions[row] for positions, _ in columns]
        style = "-" if trial.state == "complete" else ":"
        axes.plot(range(len(names)), heights, style, color=COLOURS[trial.state], alpha=0.15 + 0.85 * order[row])
    for place, (_, ticks) in enumerate(columns):
        axes.axvline(place, color="0.8", linewidth=0.8, zorder=0)
        for height, label in ticks:
            axes.text(place, height, f" {label}", fontsize=7, va="center")
    axes.set_xticks(range(len(names)), [name.rpartition(".")[2] for name in names])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return figure


def _positions(values: list[Any], allow_log: bool = True) -> tuple[list[float], list[tuple[float, str]]]:
    """Return the height of each value on an axis from 0 to 1, and the labels: (height, text).

    Where there is no value (the field lies inside a choice that was not taken) the height is no number: a gap.
    """
    if len(known := [each for each in values if each is not None]) < len(values):
        heights_of_known, labels = _positions(known, allow_log)
        left = iter(heights_of_known)
        return [math.nan if each is None else next(left) for each in values], labels
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in values):
        names = sorted({str(each) for each in values})
        heights = {name: index / max(len(names) - 1, 1) for index, name in enumerate(names)}
        return [heights[str(each)] for each in values], [(height, name) for name, height in heights.items()]
    low, high = min(values), max(values)
    if low == high:
        return [0.5] * len(values), [(0.5, f"{low:.3g}")]
    ends = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    if allow_log and low > 0 and high / low > 20:
        return [math.log(each / low) / math.log(high / low) for each in values], ends
    return [(each - low) / (high - low) for each in values], ends


def _value(trial: TrialRecord) -> float:
    assert trial.value is not None
    return trial.value
