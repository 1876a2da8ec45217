"""What a section is made of: said once, drawn twice, as HTML by `card.html` and as Markdown by `markdown.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

Tone = Literal["good", "bad", "warn", "plain"]


@dataclass(frozen=True)
class Badge:
    """A word in a coloured pill."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Link:
    """A text that leads to a page; without an address it is the text alone."""

    text: str
    url: str | None = None

    @property
    def safe_url(self) -> str | None:
        """The address, when it is one of a web page."""
        return self.url if self.url and self.url.startswith(("http://", "https://")) else None


@dataclass(frozen=True)
class Drawing:
    """A small picture in a cell, or a large one in a section, and the words that say the same."""

    svg: Markup
    words: str
    title: str = ""
    wide: bool = False


Cell = str | Badge | Link | Drawing


@dataclass(frozen=True)
class Paragraph:
    """Sentences. `tone` marks a remark that a reader must not miss."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """Rows of cells; the columns named in `numeric` are set to the right."""

    columns: list[str]
    rows: list[list[Cell]]
    caption: str = ""
    numeric: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    """Columns whose cells are not broken over lines where the page is wide."""
    highlighted: int | None = None
    """The row that is set apart."""


@dataclass(frozen=True)
class Figures:
    """Names and values, side by side."""

    items: Sequence[tuple[str, Cell]]


@dataclass(frozen=True)
class Drawings:
    """Charts that stand side by side where the page is wide enough."""

    charts: list[Drawing]


@dataclass(frozen=True)
class Code:
    """A text set as it is, folded away under its title when `folded`."""

    text: str
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Quote:
    """A text that a model wrote after a prompt."""

    prompt: str
    text: str
    note: str = ""


Block = Paragraph | Table | Figures | Drawings | Code | Quote


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The name that links in the page use."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Headline:
    """One figure of the strip at the top."""

    name: str
    value: str
    note: str
    tone: Tone = "plain"
    drawing: Drawing | None = None


def kind_of(block: Block | Cell) -> str:
    """Return the name of the block's or cell's class in lower case, for the template to choose by."""
    return type(block).__name__.lower()
