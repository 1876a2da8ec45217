"""The tokenizer of a model that is there already; nothing is trained and its files are kept as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lm_modules.data.tokenizers import TokenizerTraining

if TYPE_CHECKING:
    import tokenizers

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "additional_chat_templates/*.jinja",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
)
"""What belongs to a tokenizer in the directory of a model."""


class Pretrained(TokenizerTraining):
    """Takes over a fast tokenizer (`tokenizer.json`) with its special tokens and its chat template.

    It need not give every text back (BERT's lowers the case); the report tells how many held-out texts it changes.
    """

    kind: Literal["pretrained"] = "pretrained"
    base: str | None = None
    """A directory, an MLflow uri, NAME@alias or a Hugging Face name; null takes pretraining.base."""

    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Refuse: there is nothing to train."""
        raise ValueError("a pretrained tokenizer is taken over, not trained; name the model that has it in its base")

    def take(self, base: Path, output: Path) -> None:
        """Copy the tokenizer of the model in `base`; one without tokenizer.json is made from its older files."""
        from transformers import AutoTokenizer

        from lm_modules.data.special_tokens import ROLES_FILE

        try:
            opened = AutoTokenizer.from_pretrained(str(base))
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{base} has no tokenizer that transformers can open ({error})") from error
        output.mkdir(parents=True, exist_ok=True)
        if (base / "tokenizer.json").exists():
            copy_tokenizer(base, output)
        elif opened.is_fast:
            opened.save_pretrained(str(output))
        else:
            raise ValueError(f"{base} has a slow tokenizer without tokenizer.json; take a model with a fast one")
        roles = {role: token for role, token in opened.special_tokens_map.items() if isinstance(token, str)}
        (output / ROLES_FILE).write_text(json.dumps(roles, indent=2) + "\n", encoding="utf-8")


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files, unchanged, into another directory."""
    for pattern in FILES:
        for path in Path(source).glob(pattern):
            place = Path(target) / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
