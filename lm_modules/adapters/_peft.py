"""What the adapters of `peft` have in common."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_modules.adapters import Adapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class PeftAdapter(Adapter):
    """Trains small weights beside those of the blocks, which stay as they are, and what follows the blocks."""

    def wrapped(self, model: PreTrainedModel, settings: Any) -> nn.Module:
        """Return the model wrapped by peft."""
        from peft import get_peft_model

        with warnings.catch_warnings():
            # peft 0.21 asks the model a question that transformers 5.23 has renamed
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
            )
            return get_peft_model(model, settings)

    def keep(self, model: nn.Module, directory: Path) -> None:
        """Save the adapter as peft has it; it fits the base, whose place a user names when loading it."""
        from lm_modules.model.stock import quiet_loading

        with quiet_loading():
            model.save_pretrained(directory)  # type: ignore[operator]
        # both name the base by where this machine has it
        (directory / "README.md").unlink(missing_ok=True)
        settings = json.loads((directory / "adapter_config.json").read_text())
        (directory / "adapter_config.json").write_text(
            json.dumps(settings | {"base_model_name_or_path": None}, indent=2)
        )

    def merge(self, model: nn.Module) -> PreTrainedModel:
        """Return the stock model with what was learned in its own matrices."""
        return model.merge_and_unload()  # type: ignore[operator]
