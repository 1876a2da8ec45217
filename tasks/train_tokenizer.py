"""The corpus to a tokenizer, or the tokenizer of a model that is there already."""

from __future__ import annotations

from configs.tokenization import AFTERWARDS, TokenizationConfig
from tasks.artifacts import Corpus, Model, Tokenizer
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


def train_tokenizer(config: TokenizationConfig, corpus: Corpus, base: Model | None, run_id: str) -> Tokenizer:
    """Train the tokenizer on the train split, or take that of `base`, and file it as a stock Hugging Face directory.

    It is found again whatever is done with it afterwards: some kinds would not be the same if they were trained again.
    """
    plain = {name: TokenizationConfig.model_fields[name].get_default() for name in AFTERWARDS}
    return learn_tokenizer(TokenizationConfig.model_validate({**config.model_dump(), **plain}), corpus, base, run_id)


@cached_task("lm_modules.data.tokenization")
def learn_tokenizer(config: TokenizationConfig, corpus: Corpus, base: Model | None, run_id: str) -> Tokenizer:
    """Do the work."""
    with own_work_directory() as directory:
        report = run_isolated(
            "lm_modules.data.tokenization:train_tokenizer",
            {
                "config": config,
                "corpus": corpus.local(),
                "output": directory / "tokenizer",
                "base": base and base.local(),
            },
            name="the training of the tokenizer",
            log=directory / "log.txt",
        )
        parents = [corpus] if base is None else [corpus, base]
        return Tokenizer.file(directory / "tokenizer", run_id=run_id, name="tokenizer", parents=parents, facts=report)
