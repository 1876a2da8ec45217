"""How text becomes a corpus: where it comes from, how it is rewritten, what is dropped, how it is split."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config, nearest
from configs.component import OneOf
from configs.decontamination import DecontaminationConfig
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
    without_effect: ClassVar[frozenset[str]] = frozenset({"engine"})

    sources: tuple[Annotated[Any, OneOf("lm_modules.data.sources")], ...] = Field(
        default=("python_documentation",), min_length=1
    )
    """Where the documents come from."""
    cleaners: tuple[Annotated[Any, OneOf("lm_modules.data.cleaners")], ...] = ("unicode",)
    """What rewrites a document, in this order."""
    filters: tuple[Annotated[Any, OneOf("lm_modules.data.filters")], ...] = ("length",)
    """What drops a document, in this order; the first that objects gives the reason."""
    identify_languages: bool = True
    """Tell the language of every document whose source does not; filters that go by the language need it."""
    decontamination: DecontaminationConfig | None = None
    """Whether texts of evaluation sets are looked for in what is trained on; null looks for none."""
    deduplication: tuple[Annotated[Any, OneOf("lm_modules.data.deduplication")], ...] = ("exact",)
    """How copies are found, of whole documents and of passages, one way after the other."""
    split: SplitConfig = SplitConfig()
    """The share that is held out."""
    part_megabytes: float = Field(default=32, gt=0)
    """How much text is worked on as one piece: what a process that is killed has to do again, and, for each process,
    a measure of the memory that it needs."""
    engine: Annotated[Any, OneOf("lm_modules.data.engines")] = "processes"
    """Who works on the parts side by side."""

    @model_validator(mode="after")
    def _sources_have_names_of_their_own(self) -> Self:
        names = [name for source in self.sources for name in source.names()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"two sources are called {name!r}, so counts, weights and ids could not be told apart; give each a "
                    "name of its own (`name: ...`)"
                )
        return self

    @model_validator(mode="after")
    def _members_name_sources(self) -> Self:
        for name, members in (("cleaner", self.cleaners), ("filter", self.filters)):
            for each in members:
                self.require_sources(each.sources or (), f"the {name} {each.kind}")
        return self

    def require_sources(self, wanted: Iterable[str], where: str) -> None:
        """Raise a ValueError if a name in `wanted` is no source, nor the beginning of some (`books` of `books/a`)."""
        known = [name for source in self.sources for name in source.names()]
        for each in wanted:
            if not any(name == each or name.startswith(f"{each}/") for name in known):
                raise ValueError(f"{where} names the source {each!r}, which is none{nearest(each, known)}")

    def deduplication_groups(self) -> list[tuple[int, ...]]:
        """Return the numbers of the deduplications that one look at the texts is enough for.

        Where passages are cut out the texts are others afterwards, and what comes later must look at them again.
        """
        groups: list[tuple[int, ...]] = [()]
        for number, rule in enumerate(self.deduplication):
            groups[-1] += (number,)
            if rule.copies == "passages" and number + 1 < len(self.deduplication):
                groups.append(())
        return groups
