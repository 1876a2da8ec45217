"""The rows of a step, and which text they are taken from.

Most objectives read one stream of rows. A mixture reads several, each with a share of every batch: the rows of the
whole run are numbered, and a fixed pattern says which stream the row of each number belongs to.

    number    0  1  2  3  4  5  6  7  8  9 | 10 ...      shares 7 and 3: the pattern repeats after ten rows
    stream    a  b  a  a  a  b  a  a  b  a |  a ...
"""

# B rows, L row length

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import gcd, lcm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_PATTERN = 10_000
"""Rows after which a pattern repeats at the latest; shares are exact to one part in so many."""


@dataclass(frozen=True)
class Stream:
    """Text cut into rows of one length, and its part of every batch."""

    row_length: int
    overlap: int
    """Tokens that a row has in common with the next."""
    weight: float = 1.0
    """The part of the rows, beside the weights of the other streams."""
    sources: tuple[str, ...] | None = None
    """The sources whose documents are read (`books` names `books/a` too); None reads all."""
    name: str = ""
    by_document: bool = False
    """Whether the document of each token is asked for; held-out rows that are read together are then taken from places
    far apart, as those of training are."""


@dataclass(frozen=True)
class Rows:
    """Text of a step, and where it comes from; a row shorter than the longest is filled up behind its end."""

    tokens: Tensor
    """[batch, length], integers."""
    lengths: Tensor
    """[batch], the tokens of each row; the same for all rows of a stream."""
    streams: Tensor
    """[batch], the number of the stream that each row belongs to."""
    documents: Tensor | None = None
    """[batch, length], the number of each token's document, counted over the split; None where no stream asks."""
    text_lengths: Tensor | None = None
    """[batch], how many tokens of each row are text: those behind them are padding; None where all are text."""

    @classmethod
    def of(
        cls,
        tokens_BL: Tensor,
        documents_BL: Tensor | None = None,
        stream: int = 0,
        text_lengths: Tensor | None = None,
    ) -> Rows:
        """Return rows of one length and one stream."""
        lengths_B = tokens_BL.new_full((len(tokens_BL),), tokens_BL.shape[1])
        return cls(tokens_BL, lengths_B, lengths_B.new_full(lengths_B.shape, stream), documents_BL, text_lengths)

    @classmethod
    def unrelated(cls, tokens_BL: Tensor, end_of_text_id: int) -> Rows:
        """Return rows of which nothing is known: of one stream, no two of them with a document in common."""
        import torch

        ends_BL = (tokens_BL == end_of_text_id).long()
        within_BL = ends_BL.cumsum(dim=1) - ends_BL
        first_B1 = torch.arange(len(tokens_BL))[:, None] * (tokens_BL.shape[1] + 1)
        return cls.of(tokens_BL, first_B1 + within_BL)

    def of_stream(self, number: int) -> Rows:
        """Return the rows of one stream, in their order and at their own length."""
        chosen_B = self.streams == number
        lengths_B = self.lengths[chosen_B]
        length = int(lengths_B.max()) if len(lengths_B) else 0
        documents_BL = None if self.documents is None else self.documents[chosen_B, :length]
        text_lengths_B = None if self.text_lengths is None else self.text_lengths[chosen_B]
        return Rows(self.tokens[chosen_B, :length], lengths_B, self.streams[chosen_B], documents_BL, text_lengths_B)

    def text(self) -> Tensor:
        """Return [batch, length], whether each token is text rather than padding."""
        import torch

        lengths_B = self.lengths if self.text_lengths is None else self.text_lengths
        return torch.arange(self.tokens.shape[1]) < lengths_B[:, None]


def whole_shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Return whole numbers in proportion to the weights: how many rows of a pattern each stream has, at least one.

    Decimal weights are kept as they are written; only a pattern longer than LONGEST_PATTERN is rounded to that length.
    """
    exact = [Fraction(str(weight)) for weight in weights]
    common = lcm(*(each.denominator for each in exact))
    shares = [int(each * common) for each in exact]
    shares = [each // gcd(*shares) for each in shares]
    if sum(shares) > LONGEST_PATTERN:
        shares = [max(1, round(each * LONGEST_PATTERN / sum(shares))) for each in shares]
    return tuple(shares)


@cache
def pattern(shares: tuple[int, ...]) -> tuple[int, ...]:
    """Return the stream of each row of a pattern, so that no stream is ever a whole row from its share.

    Of the streams that have waited long enough, the one takes the next row that could wait least (Tijdeman 1980, The
    chairman assignment problem, Discrete Mathematics 32, theorem 1). Whole numbers throughout.
    """
    length, slack, taken, order = sum(shares), 2 * max(len(shares) - 1, 1), [0] * len(shares), []
    for number in range(1, length + 1):
        due = [i for i, share in enumerate(shares) if slack * (share * number - taken[i] * length) >= length]
        chosen = min(due, key=lambda i: Fraction(slack * (taken[i] + 1) - 1, shares[i]))
        taken[chosen] += 1
        order.append(chosen)
    return tuple(order)


def fewest_rows(shares: tuple[int, ...], needed: Sequence[int]) -> int:
    """Return how many rows a batch must have to hold, wherever it begins, `needed` rows of each stream."""
    order, longest = pattern(shares), 0
    for stream, count in enumerate(needed):
        places = [place for place, each in enumerate(order) if each == stream]
        turns, rest = divmod(count, len(places))
        later = [place + len(order) for place in places]
        ends = (places + later)[rest : rest + len(places)]
        gaps = [end - place for place, end in zip(places, ends, strict=True)]
        longest = max(longest, turns * len(order) + max(gaps))
    return longest
