"""Questions with answers in their contexts, in the files of SQuAD."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.inputs.compression import decompressed
from lm_modules.data.inputs.damage import DAMAGE, damage, detail
from lm_modules.data.labelled_files import LabelledFiles
from lm_modules.data.personal import excerpt

EXCERPT_CHARACTERS = 200
MAX_EXPANSION = 200
"""How many times its size a compressed file may grow to, before it is taken for a bomb."""


class Squad(LabelledFiles):
    """Questions of JSON files in the format of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), XQuAD among them.

    The questions of an article stay in one split. A question that is not as it should be is set aside with its place in
    the file (`data[0].paragraphs[2].qas[1]`); one whose answer does not stand where the file says, by its id.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".json", ".gz")
    gives: ClassVar[tuple[str, ...]] = ("question", "context", "answers")

    kind: Literal["squad"] = "squad"

    def examples(self, required: Sequence[str] = gives, optional: Sequence[str] = ()) -> Iterator[Example | Unreadable]:
        """Yield one example a question."""
        for split, name, file in self.files():
            try:
                with file.open("rb") as packed:
                    content = json.loads(decompressed(packed, file.name, MAX_EXPANSION).read().decode("utf-8-sig"))
            except DAMAGE as error:
                yield Unreadable(self.kind, str(file), None, damage(error), excerpt(detail(error), EXCERPT_CHARACTERS))
                continue
            except (ValueError, RecursionError) as error:
                yield Unreadable(self.kind, str(file), None, "not JSON", excerpt(str(error), EXCERPT_CHARACTERS))
                continue
            if not isinstance(content, dict) or not isinstance(content.get("data"), list):
                raise ValueError(f"{file} has no list of articles under 'data'; is it a file of SQuAD?")
            yield from self._questions(content["data"], split, name, file)

    def _questions(
        self, articles: list[Any], split: str | None, name: str, file: Path
    ) -> Iterator[Example | Unreadable]:
        known: set[str] = set()

        def unreadable(place: str, reason: str) -> Unreadable:
            return Unreadable(self.kind, str(file), None, reason, place)

        for at, article in enumerate(articles):
            place = f"data[{at}]"
            if not _has(article, paragraphs=list):
                yield unreadable(place, "an article without paragraphs")
                continue
            for number, paragraph in enumerate(article["paragraphs"]):
                inside = f"{place}.paragraphs[{number}]"
                if not _has(paragraph, context=str, qas=list):
                    yield unreadable(inside, "a paragraph without context or questions")
                    continue
                context, title = paragraph["context"], article.get("title")
                group = title if isinstance(title, str) and title else sha256(repr(context).encode()).hexdigest()[:16]
                for index, asked in enumerate(paragraph["qas"]):
                    where = f"{inside}.qas[{index}]"
                    if not _has(asked, id=str, question=str, answers=list):
                        yield unreadable(where, "a question without id, text or list of answers")
                    elif asked["id"] in known:
                        yield unreadable(where, "an id that an earlier question has")
                    else:
                        known.add(asked["id"])
                        fields = {"question": asked["question"], "context": context, "answers": asked["answers"]}
                        yield Example(f"{name}:{asked['id']}", fields, group, split, str(file))

    def splits_by(self, split: str = "test") -> str:
        """Return "given" if the part is given, else "group": the articles."""
        return "given" if getattr(self, split) else "group"


def _has(value: Any, **kinds: type) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in kinds.items())
