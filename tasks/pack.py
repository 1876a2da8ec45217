"""The corpus to memory-mapped tokens."""

from __future__ import annotations

from configs.tokenization import TokenizationConfig
from lm_modules.data.engines import Engine
from lm_modules.disk import remove
from tasks.artifacts import Corpus, Tokenizer, Tokens
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


@cached_task("lm_modules.data.packed")
def pack(config: TokenizationConfig, corpus: Corpus, tokenizer: Tokenizer, engine: Engine, run_id: str) -> Tokens:
    """Encode every split and file the tokens; files of the corpus that were encoded before a kill are not again."""
    with own_work_directory() as directory:
        report = run_isolated(
            "lm_modules.data.packed:pack",
            {
                "config": config,
                "corpus": corpus.local(),
                "tokenizer": tokenizer.local(),
                "output": directory / "tokens",
                "parts": directory / "parts",
                "engine": engine,
            },
            name="the packing of the tokens",
            log=directory / "log.txt",
        )
        tokens = Tokens.file(
            directory / "tokens", run_id=run_id, name="tokens", parents=[corpus, tokenizer], facts=report
        )
        remove(directory / "parts")
        return tokens
