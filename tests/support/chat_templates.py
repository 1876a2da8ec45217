"""Chat templates of four makes, and a tokenizer that has their tokens."""

from __future__ import annotations

from pathlib import Path

from tiny_models import save_llama

from lm_modules.model.stock import open_tokenizer

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}{% endgeneration %}{% else %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML that marks answers without the end of their turn."""
IN_BRACKETS = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + "
    "' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('no system messages') }}{% endif %}{% endfor %}"
)
FORGETFUL = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' "
    "and not loop.last %}{{ message['content'].split('=>')[-1] }}{% else %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Leaves out what earlier answers thought, as templates of models that reason do."""


def save_chat_llama(directory: Path, template: str | None, **settings: int) -> Path:
    """Save a random Llama whose tokenizer knows the tokens of ChatML, and has a template or none."""
    base = save_llama(directory, **settings)
    tokenizer = open_tokenizer(base)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    tokenizer.split_special_tokens = False
    tokenizer.save_pretrained(base)
    from transformers import AutoModelForCausalLM

    from lm_modules.model.stock import quiet_loading

    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(str(base))
        model.resize_token_embeddings(len(tokenizer))
        model.save_pretrained(base)
    return base
