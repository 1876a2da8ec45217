"""Languages that put no spaces between words, where `text_words` takes a character for a word."""

WITHOUT_SPACES = frozenset({"zh", "yue", "wuu", "ja", "th", "lo", "km", "my"})
