"""The picture of a coordinate check: a row a parametrization, root mean squares over the width on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lm_modules.training.coordinate_lines import HIGH, LOW, STEEPEST, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "embedding": "#c9a227",
    "attention": "#2f6db5",
    "feed-forward": "#1f6f4a",
    "stream": "#444444",
    "logits": "#b5482f",
    "gradient": "#7a5195",
}
LARGEST, SMALLEST = 1e6, 1e-9
"""What is zero, or beyond all measure, is drawn at the edge."""


def draw(lines: Sequence[Line], path: Path) -> None:
    """Write the picture as a PNG file."""
    from matplotlib.figure import Figure  # without pyplot: no window system, nothing shared between threads

    kinds = list(dict.fromkeys(line.parametrization for line in lines))
    times = list(dict.fromkeys(line.when for line in lines))
    columns = [(when, gradient) for gradient in (False, True) for when in times]
    figure = Figure(figsize=(3.6 * len(columns), 3.3 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), len(columns), squeeze=False, sharex=True, sharey=True)
    for kind, row in zip(kinds, grid, strict=True):
        for (when, gradient), axes in zip(columns, row, strict=True):
            some = [
                line
                for line in lines
                if (line.parametrization, line.when, line.part == "gradient") == (kind, when, gradient)
            ]
            _panel(axes, some, f"{kind}, {'gradients' if gradient else 'activations'} {when}")
        row[0].set_ylabel("root mean square")
    for axes in grid[-1]:
        axes.set_xlabel("width")
    figure.suptitle(
        f"A line should be level and begin inside the band of {LOW:g} to {HIGH:g}; dashed ones go with more than "
        f"width^{STEEPEST:g}",
        fontsize=10,
    )
    figure.savefig(path, dpi=120)


def _panel(axes: Axes, lines: Sequence[Line], title: str) -> None:
    axes.axhspan(LOW, HIGH, color="0.93", zorder=0)
    widths = sorted({width for line in lines for width in line.rms})
    labelled: set[str] = set()
    for line in lines:
        values = [min(max(line.rms[width], SMALLEST), LARGEST) for width in widths]
        axes.plot(
            widths,
            values,
            "--" if line.moves else "-",
            marker=".",
            color=COLOURS[line.part],
            alpha=0.7,
            linewidth=1,
            label=None if line.part in labelled else line.part,
        )
        labelled.add(line.part)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    if len(labelled) > 1:
        axes.legend(frameon=False, fontsize=7)
