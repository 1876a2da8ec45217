"""What a model that writes reads of a source: a template around it, cut so that the answer fits behind it.

Copied, with `seq2seq_service.py`, into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

from typing import Any

PLACE = "{source}"
"""Where the source stands in a template."""


def ends_texts(tokenizer: Any) -> bool:
    """Tell whether the tokenizer itself puts its end token behind a text, as those of encoder-decoders do."""
    return tokenizer.eos_token_id in tokenizer("a")["input_ids"][1:]


def prompt_of(prompt: str | None, tokenizer: Any) -> str:
    """Return the template. Null is the source alone, with a line end behind it unless the tokenizer ends it itself."""
    if prompt is not None:
        return prompt
    return PLACE if ends_texts(tokenizer) else f"{PLACE}\n"


def source_tokens(source: str, tokenizer: Any, prompt: str | None, most_tokens: int) -> tuple[list[int], bool]:
    """Return the tokens of the template with the source in it, as the tokenizer gives them; and whether all of it fits.

    Of a source that is too long the end is cut, of the template nothing.
    """
    prompt, whole = prompt_of(prompt, tokenizer), source
    while True:
        # an empty text still needs a token to answer from
        tokens = list(tokenizer(prompt.replace(PLACE, source), verbose=False)["input_ids"]) or [tokenizer.eos_token_id]
        excess = len(tokens) - most_tokens
        if excess <= 0:
            return tokens, source == whole
        if not source:
            raise ValueError(
                f"the prompt alone has {len(tokens)} tokens where {most_tokens} are left for prompt and source; "
                "shorten finetuning.head.prompt, or raise finetuning.context_length"
            )
        found = tokenizer(source, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans = found["offset_mapping"]
        end = spans[len(spans) - excess][0] if excess < len(spans) else 0
        source = source[: min(end, len(source) - 1)]
