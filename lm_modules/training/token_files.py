"""Whether packed tokens are still what was packed: looked at once, when a pretraining begins or goes on.

The fingerprint that a checkpoint remembers stands in meta.json, so a byte that changed in the tokens themselves would
go unseen. Their digest stands there too. To read both splits takes about a second of a core for each gigabyte, once;
nothing is looked at in the steps.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from lm_modules.data.input_files import file_digest
from lm_modules.data.packed import PackedTokens, read_meta

logger = logging.getLogger(__name__)


def require_sound(directory: Path) -> None:
    """Raise a ValueError unless the tokens to train on are those that were packed, and all in the vocabulary."""
    started, num_bytes = time.perf_counter(), 0
    for split in ("train", "validation"):
        packed, path = PackedTokens.open(directory, split), Path(directory) / f"{split}.bin"
        _require_digest(path, read_meta(directory)["splits"][split].get("sha256"))
        _require_known_ids(path, packed)
        num_bytes += path.stat().st_size
    seconds = time.perf_counter() - started
    logger.info("tokens in %s are as packed (%.1f MB read in %.1f s)", directory, num_bytes / 1e6, seconds)


def _require_digest(path: Path, packed: str | None) -> None:
    found = file_digest(path)
    if packed not in (None, found):
        raise ValueError(
            f"{path} has the digest {found}, and meta.json beside it says {packed}: it was changed or damaged since it "
            "was packed. Pack the corpus again"
        )


def _require_known_ids(path: Path, packed: PackedTokens) -> None:
    largest = int(packed.tokens.max()) if packed.num_tokens else 0
    if largest >= packed.vocab_size:
        raise ValueError(
            f"{path} has the token id {largest} at place {int(packed.tokens.argmax())}, and its vocabulary has "
            f"{packed.vocab_size} entries, the last of them {packed.vocab_size - 1}. Pack the corpus again with the "
            "tokenizer that it is trained with"
        )
