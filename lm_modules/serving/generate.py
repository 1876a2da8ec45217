"""Continue a text with a stock Hugging Face directory.

The model is read with `transformers` alone, so this works on what `export` writes and on any causal language model that
was saved with `save_pretrained`. Equal seeds give equal text on one machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def generate(
    model: Path,
    prompt: str,
    *,
    max_new_tokens: int = 128,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> str:
    """Return the text that the model writes after `prompt` (the prompt itself is not repeated).

    Writing ends at the end-of-text token, after `max_new_tokens`, or where the model's context is full.
    `temperature` 0 takes the likeliest token each time; `top_p` keeps the smallest set of tokens with that probability.
    """
    return str(
        samples(model, [prompt], max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)[0][
            "text"
        ]
    )


def samples(
    model: Path,
    prompts: list[str],
    *,
    max_new_tokens: int = 128,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return one `{"prompt", "text", "temperature", "seed"}` for each prompt; the model is loaded once.

    Each prompt starts from the seed anew, so a sample does not depend on its neighbours.
    """
    _check(max_new_tokens, temperature, top_p)
    network, tokenizer = load(model)
    return [
        {
            "prompt": prompt,
            "text": continue_text(network, tokenizer, prompt, max_new_tokens, temperature, top_p, seed),
            "temperature": temperature,
            "seed": seed,
        }
        for prompt in prompts
    ]


def load(model: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the causal language model in `model`, ready for inference, and its tokenizer."""
    if not (Path(model) / "config.json").is_file():
        raise ValueError(f"{model} has no config.json; give the directory of a Hugging Face model")
    _require_language_model(Path(model))
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _without_progress_bars():
        network = AutoModelForCausalLM.from_pretrained(str(model), local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(str(model), local_files_only=True)
    return network.eval(), tokenizer


def _require_language_model(model: Path) -> None:
    """Refuse what `transformers` would open all the same, with random weights where a language model has its head."""
    names = json.loads((model / "config.json").read_text(encoding="utf-8")).get("architectures") or ()
    if names and not any(each.endswith(("ForCausalLM", "LMHeadModel")) for each in names):
        kind = "a classifier" if "Classification" in names[0] else "another kind of model"
        raise ValueError(
            f"{model} is {kind} ({names[0]}), not a language model; give a language model, such as the one it was "
            "tuned from" + (", or serve it to have texts labelled" if kind == "a classifier" else "")
        )


def _check(max_new_tokens: int, temperature: float, top_p: float) -> None:
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
    if temperature < 0:
        raise ValueError(f"temperature must be 0 (likeliest token) or above, not {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}; 1 keeps every token")


def continue_text(
    network: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    max_new_tokens: int = 128,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> str:
    """Return what a loaded model writes after `prompt`; the settings are those of `generate`."""
    _check(max_new_tokens, temperature, top_p)
    import torch
    from transformers import GenerationConfig

    tokens_BL = torch.tensor([_encode(tokenizer, prompt)])
    space = _context_length(network) - tokens_BL.shape[1]
    if space < 1:
        limit = _context_length(network)
        raise ValueError(f"the prompt has {tokens_BL.shape[1]} tokens, the model reads at most {limit}; shorten it")
    sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0} if temperature > 0 else {}
    end_of_text = tokenizer.eos_token_id
    settings = GenerationConfig(
        max_new_tokens=min(max_new_tokens, space),
        eos_token_id=end_of_text,
        pad_token_id=end_of_text if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        **sampling,
    )
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        written_BL = network.generate(tokens_BL, attention_mask=torch.ones_like(tokens_BL), generation_config=settings)
    return str(tokenizer.decode(written_BL[0, tokens_BL.shape[1] :], skip_special_tokens=True))


def _encode(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Return the tokens of the prompt, after the token that begins a document where the tokenizer has one."""
    tokens = list(tokenizer(prompt)["input_ids"])
    begin = tokenizer.bos_token_id
    if begin is not None and tokens[:1] != [begin]:
        tokens = [begin, *tokens]
    if not tokens:
        raise ValueError("the prompt is empty and the tokenizer has no token that begins a text; give a prompt")
    return tokens


def _context_length(network: PreTrainedModel) -> int:
    return int(getattr(network.config, "max_position_embeddings", None) or 2**31)


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keep the bars of `transformers` off the screen while a model is read."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
