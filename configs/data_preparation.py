"""How text becomes a corpus: where it comes from, how it is rewritten, what is dropped, how it is split."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config, nearest
from configs.component import OneOf
from configs.held_out import require_some_training


class SplitConfig(Config):
    """The share of the documents that is held out.

    A hash decides: of a document's group if it has one (a file that is not cut, a module, `group_field`), else of its
    text. So other documents may come and go, and it stays where it is. A source may hold out whole groups itself.
    """

    model_config = ConfigDict(title="Split")

    validation_fraction: float = Field(default=0.05, ge=0, lt=1)
    """Share of the documents on which training is watched."""
    test_fraction: float = Field(default=0.05, ge=0, lt=1)
    """Share of the documents that only the evaluation sees."""

    @model_validator(mode="after")
    def _some_train(self) -> Self:
        require_some_training(self.validation_fraction, self.test_fraction)
        return self


class DataPreparationConfig(Config):
    """Sources, cleaners, filters, deduplication and split, in the order in which a document meets them."""

    model_config = ConfigDict(title="Data preparation")

    sources: tuple[Annotated[Any, OneOf("lm_modules.data.sources")], ...] = Field(
        default=("python_documentation",), min_length=1
    )
    """Where the documents come from."""
    cleaners: tuple[Annotated[Any, OneOf("lm_modules.data.cleaners")], ...] = ("unicode",)
    """What rewrites a document, in this order."""
    filters: tuple[Annotated[Any, OneOf("lm_modules.data.filters")], ...] = ("length",)
    """What drops a document, in this order; the first that objects gives the reason."""
    deduplication: Annotated[Any, OneOf("lm_modules.data.deduplication")] | None = "exact"
    """How copies are found; null keeps them."""
    split: SplitConfig = SplitConfig()
    """The share that is held out."""

    @model_validator(mode="after")
    def _filters_name_sources(self) -> Self:
        for each in self.filters:
            self.require_sources(each.sources or (), f"the filter {each.kind}")
        return self

    def require_sources(self, wanted: Iterable[str], where: str) -> None:
        """Raise a ValueError if a name in `wanted` is no source, nor the beginning of some (`books` of `books/a`)."""
        known = [name for source in self.sources for name in source.names()]
        for each in wanted:
            if not any(name == each or name.startswith(f"{each}/") for name in known):
                raise ValueError(f"{where} names the source {each!r}, which is none{nearest(each, known)}")
