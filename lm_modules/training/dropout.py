"""Dropout for any stock model, those that have none included."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.functional import dropout

from lm_modules.training.layers import blocks


def apply_dropout(model: nn.Module, rate: float) -> None:
    """Drop this part of the activations in training mode; nothing of it is saved, and evaluation is untouched.

    A model with `nn.Dropout` modules (BERT, GPT-2), or with rates of its own (BART, the attention of T5), has all of
    them set. One without (Llama) gets dropout where the Transformer of Vaswani et al. 2017 (section 5.4) has it: on
    what every attention and feed-forward adds to the residual stream, and on what the head reads.
    """
    own = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    for module in own:
        module.p = rate
    has_rates = _set_rates(model, rate)
    if own or has_rates or rate == 0:
        return
    for block in blocks(model).values():
        for part in block.children():
            if any(parameter.ndim > 1 for parameter in part.parameters()):
                part.register_forward_hook(lambda module, _, output: _drop(module, output, rate))
    head = [module for _, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    head.register_forward_pre_hook(lambda module, inputs: (dropout(inputs[0], rate, module.training), *inputs[1:]))


def _set_rates(model: nn.Module, rate: float) -> bool:
    """Set the rates that modules keep as numbers and drop by; return whether there are any above 0."""
    found = [
        (module, name)
        for module in model.modules()
        for name, value in vars(module).items()
        if name.endswith("dropout") and isinstance(value, float) and value > 0
    ]
    for module, name in found:
        setattr(module, name, rate)
    return bool(found)


def _drop(module: nn.Module, output: Any, rate: float) -> Any:
    """Drop from a sub-layer's output, the first of several where it returns a tuple (attention)."""
    if isinstance(output, tuple):
        return dropout(output[0], rate, module.training), *output[1:]
    return dropout(output, rate, module.training)
