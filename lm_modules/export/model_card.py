"""The README.md that a model directory carries."""

from __future__ import annotations

from typing import Any

from lm_modules.data.tokenizers import sentinel

CARD = """---
library_name: transformers
pipeline_tag: {task}
tags: [rootstock, {objective}]
---

# {parameters:,} parameters, {architecture}

A language model pretrained {origin} with Rootstock ({objective}). It is an unmodified `{architecture}` and needs
`transformers` alone.

```python
from transformers import {auto_class}, AutoTokenizer

model = {auto_class}.from_pretrained("path/to/this/directory")
{after_loading}tokenizer = AutoTokenizer.from_pretrained("path/to/this/directory")
{use}
```

{remark}| | |
|---|---|
| layers, width, heads | {depth}, {width}, {heads} |
| vocabulary, context | {vocab_size:,} tokens, {context_length:,} tokens |
| trained | {steps:,} steps, {tokens_seen:,} tokens, in {precision} |
| parametrization | {parametrization} |
| held-out loss | {loss} nats a token, {bits} bits a byte |
| tokens fingerprint | `{fingerprint}` |
| difference from the training graph | at most {difference:.1e} in a logit, float32 |

{knowledge}
"""

UNTIED = "model.config.tie_word_embeddings = False  # see below\n"
UNTIED_REMARK = """The embedding and the readout are two matrices. The `config.json` of this architecture cannot say so:
`transformers` warns when it loads the model, and loads both as they are. Whatever ties weights anew, such as
`resize_token_embeddings`, would put the embedding in the place of the readout: set `model.config.tie_word_embeddings`
to False first, each time the model is loaded.

"""
"""For a model whose two matrices differ although its configuration calls them tied: T5 under transformers 5."""

DISCRIMINATOR_REMARK = """This is the discriminator; the generator, which replaced tokens in training, is no part of it.

"""

FROM_SCRATCH = "It has read the training text above and nothing else, and knows no facts to rely on."
CONTINUED = "Beside the training text above it has read whatever its base had; the terms of the base hold for it, too."


USES = {
    "text-generation": """tokens = tokenizer("def main(", return_tensors="pt")
print(tokenizer.decode(model.generate(**tokens, max_new_tokens=64)[0]))""",
    "text2text-generation": """tokens = tokenizer("a text {sentinel} taken out{end}", return_tensors="pt")
print(tokenizer.decode(model.generate(**tokens, max_new_tokens=64)[0]))""",
    "fill-mask": """tokens = tokenizer("a text with a {mask} hidden", return_tensors="pt")
print(tokenizer.decode(model(**tokens).logits[0].argmax(-1)))""",
    "token-classification": """tokens = tokenizer("a text that may have been changed", return_tensors="pt")
print(model(**tokens).logits[0].softmax(-1)[:, 1])  # how likely each token was replaced""",
}
"""How the model is asked, by its task."""


def model_card(
    state: dict[str, Any],
    *,
    model: Any,
    task: str,
    auto_class: str,
    num_parameters: int,
    difference: float,
    codec: Any,
) -> str:
    """Return the card of a model that was made of the checkpoint with this state; `codec` is its tokenizer."""
    shape, base = state["config"]["model"], state["config"]["base"]
    figures = {name: f"{value:.4f}" for name, value in state["validation"].items()}
    untied = _is_called_tied_wrongly(model)
    return CARD.format(
        parameters=num_parameters,
        architecture=type(model).__name__,
        task=task,
        auto_class=auto_class,
        use=_use(task, state, codec),
        after_loading=UNTIED if untied else "",
        remark=UNTIED_REMARK if untied else DISCRIMINATOR_REMARK if task == "token-classification" else "",
        origin="from scratch" if base is None else f"from the weights of `{base}` on",
        knowledge=FROM_SCRATCH if base is None else CONTINUED,
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


def _is_called_tied_wrongly(model: Any) -> bool:
    readout = model.get_output_embeddings()
    called_tied = readout is not None and getattr(model.config, "tie_word_embeddings", False)
    return bool(called_tied and readout.weight is not model.get_input_embeddings().weight)


def _use(task: str, state: dict[str, Any], codec: Any) -> str:
    special = dict(state["vocabulary"]["special"])
    span = special.get(sentinel(0), codec.mask_token_id)
    return (
        USES[task]
        .replace("{mask}", str(codec.mask_token))
        .replace("{end}", str(codec.eos_token))
        .replace("{sentinel}", "" if span is None else str(codec.convert_ids_to_tokens(span)))
    )
