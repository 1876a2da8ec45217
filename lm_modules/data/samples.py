"""A few of the documents that each rule dropped, without personal data, for people who want to judge the rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lm_modules.data.documents import Document
from lm_modules.data.personal import excerpt

SAMPLES_PER_REASON = 10
MOST_CHARACTERS = 5_000


class Samples:
    """Keeps, for each step and reason, the documents whose ids have the smallest hashes: the same in every order."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}

    def add(self, step: str, reason: str, document: Document) -> None:
        """Consider a dropped document."""
        rank = hashlib.blake2b(f"{document.source}\0{document.id}".encode(), digest_size=8).hexdigest()
        held = self.rows.get((step, reason), [])
        if len(held) < SAMPLES_PER_REASON or rank < held[-1][0]:
            row = {"step": step, "reason": reason, "source": document.source, "id": document.id}
            self._keep((step, reason), rank, row | {"text": excerpt(document.text, MOST_CHARACTERS)})

    def _keep(self, key: tuple[str, str], rank: str, row: dict[str, Any]) -> None:
        held = [*self.rows.get(key, []), (rank, row)]
        self.rows[key] = sorted(held, key=lambda each: each[0])[:SAMPLES_PER_REASON]

    def save(self, path: Path) -> None:
        """Write a line a document."""
        lines = [json.dumps({"rank": rank, **row}) for _, rows in sorted(self.rows.items()) for rank, row in rows]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    @classmethod
    def merged(cls, paths: Iterable[Path]) -> Samples:
        """Return the samples of several parts as one."""
        found = cls()
        for path in paths:
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                found._keep((row["step"], row["reason"]), row.pop("rank"), row)
        return found
