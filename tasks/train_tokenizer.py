"""The corpus to a tokenizer."""

from __future__ import annotations

from configs.tokenization import TokenizationConfig
from tasks.artifacts import Corpus, Tokenizer
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


@cached_task("lm_modules.data.tokenization")
def train_tokenizer(config: TokenizationConfig, corpus: Corpus, run_id: str) -> Tokenizer:
    """Train the tokenizer on the train split and file it as a stock Hugging Face directory."""
    with own_work_directory() as directory:
        report = run_isolated(
            "lm_modules.data.tokenization:train_tokenizer",
            {"config": config, "corpus": corpus.local(), "output": directory / "tokenizer"},
            name="the training of the tokenizer",
            log=directory / "log.txt",
        )
        return Tokenizer.file(directory / "tokenizer", run_id=run_id, name="tokenizer", parents=[corpus], facts=report)
