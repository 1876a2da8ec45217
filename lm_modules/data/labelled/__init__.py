"""Where labelled examples come from: one way a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator

from configs.component import Component
from configs.held_out import require_some_training
from lm_modules.data.documents import Example, Unreadable


class Labelled(Component):
    """Yields examples. Those without a split get theirs from a hash of the group, or of the text."""

    gives: ClassVar[tuple[str, ...] | None] = None
    """The fields that an example has; None where the files decide."""

    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the examples on which the sweep chooses, where the set has no validation part of its own."""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the examples that only the evaluation sees, where the set has no test part of its own."""

    @model_validator(mode="after")
    def _some_train(self) -> Self:
        require_some_training(self.validation_fraction, self.test_fraction)
        return self

    def refuse_without_effect(self, field: str, why: str) -> None:
        """Raise a ValueError if `field` was changed although it decides nothing."""
        value, default = getattr(self, field), type(self).model_fields[field].default
        if value != default:
            raise ValueError(f"{field} {value} has no effect, because {why}; leave it out (it is {default})")

    @abstractmethod
    def examples(self, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Example | Unreadable]:
        """Yield the examples, with the required fields and what there is of the optional ones, in a fixed order.

        A missing file or column is a ValueError that names it.
        """

    def check(self, required: Sequence[str]) -> None:
        """Raise the ValueError that `examples` would raise, as far as the first example that can be used tells."""
        next((each for each in self.examples(required) if not isinstance(each, Unreadable)), None)

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a digest of the content: equal digests mean equal examples."""

    def splits_by(self, split: str = "test") -> str:
        """Return how the test part, or the validation part, comes about: "group", "random" or "given"."""
        return "random"

    def split_otherwise(self) -> Self | None:
        """Return the same set under its other split, for members that know two; None for the rest."""
        return None

    def left_out(self) -> dict[str, int]:
        """Return what the member itself left out, by reason."""
        return {}
