from __future__ import annotations

from collections import Counter

import numpy as np
import xxhash

from lm_modules.data.text_words import WordNumbers, ngram_numbers, words_of


def test_words_stand_between_white_space() -> None:
    assert words_of("It's one,\n two\tthree-four .") == ("It's", "one,", "two", "three-four", ".")
    assert words_of("  ") == ()


def test_characters_of_scripts_without_spaces_are_words_with_their_marks() -> None:
    assert words_of("日本語 text") == ("日", "本", "語", "text")
    assert words_of("ที่นี่") == ("ที่", "นี่")
    assert words_of("한국어 단어") == ("한국어", "단어")
    assert words_of("naïve हिन्दी") == ("naïve", "हिन्दी")


def test_a_word_has_the_number_of_its_bytes() -> None:
    numbers = WordNumbers(lambda word: word.strip(",").lower())
    one, two, comma = numbers.of(("Word,", "word", ","))
    assert one == two == xxhash.xxh3_64_intdigest(b"word")
    assert comma == 0


def test_equal_runs_of_words_have_equal_numbers_and_others_do_not() -> None:
    words = words_of("a b c d a b c e b a " * 3)
    for size in (1, 2, 3, 5, 40):
        ngrams = list(zip(*(words[start:] for start in range(size)), strict=False))
        numbers = ngram_numbers(WordNumbers().of(words), size)
        assert len(numbers) == len(ngrams)
        assert Counter(Counter(ngrams).values()) == Counter(np.unique(numbers, return_counts=True)[1].tolist())
