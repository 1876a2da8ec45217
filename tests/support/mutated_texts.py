"""Texts of the Python library, changed so that rules about texts say yes to many and no to many."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from lm_modules.data.sources.python_documentation import PythonDocumentation

MODULES = ["json", "csv", "string", "textwrap", "argparse", "logging", "unittest", "tarfile", "pathlib", "typing"]
SIGNS = ("--", "=>", "|", "***", "12", "→", "3.5", "===")


def library_texts(modules: list[str] | None = MODULES) -> Iterator[str]:
    """Yield documentation and code, also several together, with their lines broken and joined."""
    texts = [each.text for each in PythonDocumentation(modules=modules).documents() if hasattr(each, "text")]
    for number, text in enumerate(texts):
        joined = re.sub(r"(?<=\S)\n(?=\S)", " ", "\n\n".join(texts[number : number + 1 + number % 8]))
        yield joined if number % 2 else text


def texts_under(folder: Path) -> Iterator[str]:
    """Yield the .txt and .txt.gz of a folder in pieces of 3,000 characters, some with their lines joined."""
    for path in sorted([*folder.rglob("*.txt"), *folder.rglob("*.txt.gz")]):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = content.decode("utf-8", "replace")
        for number, start in enumerate(range(0, len(text), 3_000)):
            piece = text[start : start + 3_000]
            yield re.sub(r"(?<=\S)\n(?=\S)", " ", piece) if number % 2 else piece


def mutated(texts: Iterable[str], count: int, seed: int) -> list[str]:
    """Return `count` texts: each of `texts` as it is, and then with one to three changes, over and over."""
    texts, chance = list(texts), random.Random(seed)
    found = texts[: count // 4]
    while len(found) < count:
        text = chance.choice(texts)
        for change in chance.choices(CHANGES, k=chance.choice((1, 1, 2, 3))):
            text = change(text, chance)
        found.append(text)
    return found


def _some_words(change: Callable[[str], str]) -> Callable[[str, random.Random], str]:
    """Return what changes a share of the words that is drawn for each text."""

    def changed(text: str, chance: random.Random) -> str:
        share = chance.choice((0.02, 0.05, 0.1, 0.2, 0.5))
        return re.sub(r"\S+", lambda found: change(found[0]) if chance.random() < share else found[0], text)

    return changed


def _some_lines(change: Callable[[str, random.Random], str]) -> Callable[[str, random.Random], str]:
    def changed(text: str, chance: random.Random) -> str:
        share = chance.choice((0.05, 0.2, 0.35, 0.9, 1.0))
        return "\n".join(change(line, chance) if chance.random() < share else line for line in text.split("\n"))

    return changed


def _cut(text: str, chance: random.Random) -> str:
    pieces = re.findall(r"\S+\s*", text)
    return "".join(islice(pieces, chance.randrange(40, 70)))


def _shorter_lines(text: str, chance: random.Random) -> str:
    width = chance.choice((2, 4, 8, 12))
    words = text.split()
    return "\n".join(" ".join(words[start : start + width]) for start in range(0, len(words), width))


def _again(text: str, chance: random.Random) -> str:
    """Repeat runs of words, here and there."""
    words, found = text.split(" "), []
    run = chance.randrange(2, 14)
    rarely = chance.choice((0.3, 0.1, 0.03, 0.01))
    for start in range(0, len(words), run):
        found += words[start : start + run] * (1 + (chance.random() < rarely) * chance.randrange(1, 3))
    return " ".join(found)


def _loop(text: str, chance: random.Random) -> str:
    """Put one run of words between others."""
    words = text.split(" ")
    run, every = words[: chance.randrange(1, 5)], chance.randrange(4, 40)
    return " ".join(
        word for place, each in enumerate(words) for word in ([*run, each] if place % every == 0 else [each])
    )


def _end(line: str, chance: random.Random) -> str:
    return line.rstrip() + chance.choice(("...", "…", ".", "!", "?", '"', " [3].", ",", "…"))


CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    _cut,
    _shorter_lines,
    _again,
    _loop,
    _some_words(lambda word: "#" + word),
    _some_words(lambda word: word + "..."),
    _some_words(lambda word: SIGNS[len(word) % len(SIGNS)]),
    _some_words(lambda word: " ".join(word)),
    _some_words(lambda word: word * 4),
    _some_words(lambda word: "" if word in ("the", "of", "to", "and", "be", "that", "have", "with") else word),
    lambda text, chance: re.sub(r"\b(the|of|to|and|be|that|have|with)\b", "zu", text),
    _some_lines(lambda line, chance: f"- {line}"),
    _some_lines(lambda line, chance: f"  • {line}"),
    lambda text, chance: "- " + text.replace("\n", "\n- "),
    _some_lines(_end),
    _some_lines(lambda line, chance: f"{line}\n{line}"),
    _some_lines(lambda line, chance: f"{line}\n\n{line}\n\n"),
    _some_lines(lambda line, chance: line.rstrip(".!?")),
    _some_lines(lambda line, chance: f"{line} This site uses cookies." if chance.random() < 0.2 else line),
    _some_lines(lambda line, chance: f"{line} JavaScript is off." if chance.random() < 0.2 else line),
    _some_lines(lambda line, chance: f"{line} Lorem ipsum {{}}." if chance.random() < 0.02 else line),
    lambda text, chance: text.replace("{", "("),
    lambda text, chance: text.replace("{", "(").replace("\n", ".\n"),
)
