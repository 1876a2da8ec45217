"""The card as Markdown: the same sections, charts in words."""

from __future__ import annotations

import re
from functools import singledispatch

from lm_modules.reporting.blocks import (
    Badge,
    Block,
    Cell,
    Code,
    Drawing,
    Drawings,
    Figures,
    Headline,
    Link,
    Paragraph,
    Quote,
    Section,
    Table,
)


def render(title: str, subtitle: str, headlines: list[Headline], sections: list[Section]) -> str:
    """Return the whole card as one Markdown text."""
    lines = [f"# {_plain(title)}", "", _plain(subtitle), ""]
    lines += [f"- **{_plain(each.name)}: {_plain(each.value)}** ({_plain(each.note)})" for each in headlines]
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        lines.append("\n\n".join(_block(block) for block in section.blocks))
    return "\n".join(lines) + "\n"


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"no Markdown for {type(block).__name__}")


@_block.register
def _(block: Paragraph) -> str:
    return f"**{_plain(block.text)}**" if block.tone in ("warn", "bad") else _plain(block.text)


@_block.register
def _(block: Figures) -> str:
    return _rows(["figure", "value"], [[name, value] for name, value in block.items])


@_block.register
def _(block: Table) -> str:
    # A picture beside its own words says nothing in Markdown: a column of wordless pictures is left out.
    kept = [i for i in range(len(block.columns)) if any(_cell(row[i]) for row in block.rows)]
    rows = [[row[i] for i in kept] for row in block.rows]
    table = _rows([block.columns[i] for i in kept], rows, [block.columns[i] in block.numeric for i in kept])
    return f"{table}\n\n{_plain(block.caption)}" if block.caption else table


@_block.register
def _(block: Drawings) -> str:
    return "\n".join(f"- {_plain(chart.words)}" for chart in block.charts)


@_block.register
def _(block: Code) -> str:
    return f"{block.title}:\n\n{_fenced(block.text)}" if block.title else _fenced(block.text)


@_block.register
def _(block: Quote) -> str:
    note = f" ({block.note})" if block.note else ""
    return f"After the prompt{note}:\n\n{_fenced(block.prompt)}\n\nthe model wrote:\n\n{_fenced(block.text)}"


def _rows(columns: list[str], rows: list[list[Cell]], numeric: list[bool] | None = None) -> str:
    rules = ["---:" if right else "---" for right in numeric or [False] * len(columns)]
    lines = [[_plain(column) for column in columns], rules, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell) -> str:
    if isinstance(cell, Badge):
        return _plain(cell.text)
    if isinstance(cell, Link):
        return f"[{_plain(cell.text)}](<{cell.safe_url}>)" if cell.safe_url else _plain(cell.text)
    if isinstance(cell, Drawing):
        return _plain(cell.words)
    return _plain(cell)


def _plain(text: str) -> str:
    """Return a text that Markdown sets as it is, on one line: no markup of its own, no HTML."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _fenced(text: str) -> str:
    """Return a block of code whose fence is longer than any run of backquotes in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
