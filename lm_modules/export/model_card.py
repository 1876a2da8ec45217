"""The README.md that a model directory carries."""

from __future__ import annotations

from typing import Any

CARD = """---
library_name: transformers
pipeline_tag: {task}
tags: [rootstock, {objective}]
---

# {parameters:,} parameters, {architecture}

A language model pretrained from scratch with Rootstock ({objective}) and folded into an unmodified `{architecture}`: it
needs `transformers` alone.

```python
from transformers import {auto_class}, AutoTokenizer

model = {auto_class}.from_pretrained("path/to/this/directory")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/directory")
{use}
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

It has read the training text above and nothing else, and knows no facts to rely on.
"""


USES = {
    "text-generation": """tokens = tokenizer("def main(", return_tensors="pt")
print(tokenizer.decode(model.generate(**tokens, max_new_tokens=64)[0]))""",
    "text2text-generation": """tokens = tokenizer("a text <|sentinel_0|> taken out<|endoftext|>", return_tensors="pt")
print(tokenizer.decode(model.generate(**tokens, max_new_tokens=64)[0]))""",
    "fill-mask": """tokens = tokenizer("a text with a <|mask|> hidden", return_tensors="pt")
print(tokenizer.decode(model(**tokens).logits[0].argmax(-1)))""",
    "token-classification": """tokens = tokenizer("a text that may have been changed", return_tensors="pt")
print(model(**tokens).logits[0].softmax(-1)[:, 1])  # how likely each token was replaced""",
}
"""How the model is asked, by its task."""


def model_card(
    state: dict[str, Any], *, model: Any, task: str, auto_class: str, num_parameters: int, difference: float
) -> str:
    """Return the card of a model that was folded from the checkpoint with this state."""
    shape = state["config"]["model"]
    figures = {name: f"{value:.4f}" for name, value in state["validation"].items()}
    return CARD.format(
        parameters=num_parameters,
        architecture=type(model).__name__,
        task=task,
        auto_class=auto_class,
        use=USES[task],
        objective=state["config"]["objective"]["kind"],
        depth=shape["depth"],
        width=shape["width"],
        heads=shape["width"] // shape["head_width"],
        vocab_size=state["vocabulary"]["size"],
        context_length=shape["context_length"],
        steps=state["step"],
        tokens_seen=state["tokens_seen"],
        precision=state["precision"],
        parametrization=shape["parametrization"]["kind"],
        loss=figures.get("loss", "not measured:"),
        bits=figures.get("bits_per_byte", "not measured:"),
        fingerprint=state["identity"]["tokens"][:16],
        difference=difference,
    )
