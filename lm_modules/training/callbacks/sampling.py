"""A text that the model writes with each validation, for people to read; it draws from a generator of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lm_modules.data.batches import derived_seed
from lm_modules.training.callbacks.validation import HeldOut, is_due
from lm_modules.training.going_back import is_broken
from lm_modules.training.reporting import Report

logger = logging.getLogger(__name__)


class Sampling(Callback):
    """Reports `samples/step-00000100.txt`; the same held-out text is given each time, so that samples compare."""

    def __init__(self, held_out: HeldOut, tokenizer: Path, report: Report, every_steps: int | None) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
        self._text_L = next(held_out.batches(1)).tokens[0]
        self._report, self._every_steps = report, every_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write if it is time and the objective can."""
        module: Any = pl_module
        if not is_due(module, self._every_steps) or is_broken(module.network):  # which cannot write
            return
        module.clock.pause()
        # texts of many lengths would be compiled again and again
        with torch.no_grad(), trainer.precision_plugin.forward_context(), torch.compiler.set_stance("force_eager"):
            text = self._sample(module)
        module.clock.start()
        if text is None:
            return
        logger.info("sample at step %d\n%s", module.step, text)
        if self._report(module.step, {f"samples/step-{module.step:08d}.txt": text}):
            trainer.should_stop = True

    def _sample(self, module: Any) -> str | None:
        generator = torch.Generator().manual_seed(derived_seed(module.key, "sample"))
        text_L = self._text_L.to(module.device)
        written = module.objective.write(module.network, text_L, module.corruption.vocabulary, generator)
        if written is None:
            return None
        given, made = (self._tokenizer.decode(tokens_L.tolist(), skip_special_tokens=False) for tokens_L in written)
        return f"given:\n{given}\n\nwritten:\n{made}\n"
