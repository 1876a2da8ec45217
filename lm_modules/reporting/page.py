"""A self-contained page: no script, and it asks for nothing; style and charts are inside.

It follows the reader's light or dark setting, reads on a phone and prints.
"""

from __future__ import annotations

from lm_modules.reporting.blocks import Headline, Section, kind_of


def page(kind: str, title: str, subtitle: str, headlines: list[Headline], sections: list[Section]) -> str:
    """Return the page as HTML; `kind` says above the title what it is ("Report card")."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lm_modules.reporting", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = kind_of
    template = environment.get_template("card.html")
    return template.render(kind=kind, title=title, subtitle=subtitle, headlines=headlines, sections=sections)
