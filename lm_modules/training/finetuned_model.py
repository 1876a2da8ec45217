"""The stock directory of a fine-tuned model, with its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from configs.finetuning import FinetuningConfig
from lm_modules.model.stock import quiet_loading

CARD = """---
library_name: transformers
pipeline_tag: {pipeline_tag}
tags: [rootstock]
---

# {title}

A stock `{architecture}` with {num_parameters:,} parameters, {origin}.{labels}

| on the validation split{answers} | |
|---|---|
{scores}

Settings: adapter `{adapter}`, {epochs_done:.3g} of {epochs} epochs{early} (best after step {best_step} of {steps}),
learning rate {learning_rate:.3g}, layer decay {layer_decay:.3g}, dropout {dropout:.3g},
batches of {batch_examples}, at most {context_length} tokens of a text.

```python
directory = "path/of/this/directory"
{usage}
```
"""


def save_model(
    directory: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[str],
    config: FinetuningConfig,
    result: dict[str, Any],
    from_random_weights: bool,
) -> Path:
    """Write weights, configuration, tokenizer, head and card; return the directory."""
    model.eval()
    with quiet_loading():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    (directory / "head.json").write_text(config.head.model_dump_json(), encoding="utf-8")
    (directory / "README.md").write_text(
        _card(model, tokenizer, labels, config, result, from_random_weights), encoding="utf-8"
    )
    return directory


def title_of(config: FinetuningConfig) -> str:
    """Return what the model answers, and what it learned that from: a file or data set by its name, or the kind."""
    source = getattr(config.data, "path", None) or getattr(config.data, "dataset", None)
    learned_from = f"`{Path(source).name}`" if source else config.data.kind.replace("_", " ")
    return f"{config.head.kind.replace('_', ' ').capitalize()}, fine-tuned on {learned_from}"


def _card(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[str],
    config: FinetuningConfig,
    result: dict[str, Any],
    from_random_weights: bool,
) -> str:
    named = ", ".join(f"`{label}`" for label in labels)
    scores = {name: value for name, value in result.items() if name.startswith("validation/")}
    return CARD.format(
        title=title_of(config),
        architecture=type(model).__name__,
        num_parameters=model.num_parameters(),
        origin="trained from random weights" if from_random_weights else "fine-tuned from a pretrained language model",
        labels=f"\nIt answers with one of {len(labels)} labels: {named}." if labels else "",
        answers=f" (the loss on all, the others on {result['validation_answers']} examples)"
        if config.head.writes
        else "",
        pipeline_tag=config.head.pipeline_tag,
        usage=config.head.usage_of(model, tokenizer),
        scores="\n".join(f"| {name.removeprefix('validation/')} | {value:.4f} |" for name, value in scores.items()),
        adapter=config.adapter.kind,  # type: ignore[union-attr]  # closed
        epochs_done=result["epochs"],
        epochs=config.optimization.epochs,
        early=", ended early," if result["epochs"] < config.optimization.epochs else "",
        learning_rate=config.optimization.learning_rate,
        layer_decay=config.optimization.layer_decay,
        dropout=config.dropout,
        batch_examples=config.optimization.batch_examples,
        context_length=config.context_length,
        best_step=result["best_step"],
        steps=result["steps"],
    )
