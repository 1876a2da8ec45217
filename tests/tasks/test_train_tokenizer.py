"""A vocabulary that the text cannot fill is said."""

from __future__ import annotations

from pathlib import Path

from lm_modules.data.tokenization import save_tokenizer
from lm_modules.data.tokenizers.byte_bpe import ByteBpe
from lm_modules.data.tokenizers.bytes import Bytes
from tasks.train_tokenizer import warnings

TEXT = "the quick brown fox jumps over the lazy dog, and so does the other one. " * 3


def saved(training: ByteBpe | Bytes, directory: Path) -> tuple[Path, int]:
    tokenizer = training.train(iter([TEXT]))
    save_tokenizer(tokenizer, directory)
    return directory, tokenizer.get_vocab_size()


def test_a_text_that_gives_far_fewer_tokens_than_asked_for_is_warned_of_with_a_size_that_fits(tmp_path: Path) -> None:
    (warning,) = warnings(*saved(ByteBpe(vocabulary_size=4096), tmp_path / "large"))
    used, size = (
        int(warning.split(word)[1].split()[0].rstrip(",").replace(",", "")) for word in ("gives ", "size to ")
    )
    assert 263 < used < 400
    assert "of 4,096 tokens; the rest is never used: set tokenization.tokenizer.vocabulary_size to " in warning
    assert used < size <= used + 64
    assert warnings(*saved(ByteBpe(vocabulary_size=size), tmp_path / "fitting")) == []


def test_what_rounding_leaves_over_is_no_news(tmp_path: Path) -> None:
    assert warnings(*saved(Bytes(), tmp_path / "bytes")) == []
