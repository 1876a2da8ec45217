"""The README.md that a model directory carries."""

from __future__ import annotations

from typing import Any

CARD = """---
library_name: transformers
pipeline_tag: text-generation
tags: [rootstock, causal-lm]
---

# {parameters:,} parameters, {architecture}

A causal language model pretrained from scratch with Rootstock and folded into an unmodified `{architecture}`: it needs
`transformers` alone.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/directory")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/directory")
tokens = tokenizer("def main(", return_tensors="pt")
print(tokenizer.decode(model.generate(**tokens, max_new_tokens=64)[0]))
```

| | |
|---|---|
| layers, width, heads | {depth}, {width}, {heads} |
| vocabulary, context | {vocab_size:,} tokens, {context_length:,} tokens |
| trained | {steps:,} steps, {tokens_seen:,} tokens, in {precision} |
| parametrization | {parametrization} |
| held-out loss | {loss} nats a token, {bits} bits a byte |
| tokens fingerprint | `{fingerprint}` |
| difference from the training graph | at most {difference:.1e} in a logit, float32 |

It has read the training text above and nothing else: it completes text of that kind, and knows no facts to rely on.
"""


def model_card(state: dict[str, Any], *, architecture: str, num_parameters: int, difference: float) -> str:
    """Return the card of a model that was folded from the checkpoint with this state."""
    model = state["config"]["model"]
    figures = {name: f"{value:.4f}" for name, value in state["validation"].items()}
    return CARD.format(
        parameters=num_parameters,
        architecture=architecture,
        depth=model["depth"],
        width=model["width"],
        heads=model["width"] // model["head_width"],
        vocab_size=state["vocabulary"]["size"],
        context_length=model["context_length"],
        steps=state["step"],
        tokens_seen=state["tokens_seen"],
        precision=state["precision"],
        parametrization=model["parametrization"]["kind"],
        loss=figures.get("loss", "not measured:"),
        bits=figures.get("bits_per_byte", "not measured:"),
        fingerprint=state["identity"]["tokens"][:16],
        difference=difference,
    )
