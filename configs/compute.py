"""What a training run computes with, and how often it looks up from its work."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from configs.base import Config, nearest
from configs.carbon import table


class DeviceConfig(Config):
    """Number format, devices and threads."""

    model_config = ConfigDict(title="Devices")
    without_effect: ClassVar[frozenset[str]] = frozenset({"devices", "threads"})

    precision: Literal["auto", "bf16", "float32"] = "auto"
    """Format of matrix products; weights, losses and optimizer stay in float32. Auto takes bf16 on a GPU that has it,
    and on a CPU that was timed to multiply matrices at least 1.5 times as fast in it, and float32 elsewhere; a run that
    goes on stays with what it began in."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """The kind of device to train on; auto takes the fastest at hand."""
    devices: int = Field(default=1, ge=1)
    """GPUs of this machine that train together, or processes where it trains on the CPU; each takes its part of every
    batch. The result is the same up to rounding, and up to what dropout draws where a model has any; a run may go on
    with another number."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of each process that trains; null leaves the choice to torch, and shares the cores between several
    processes and between trials side by side."""


class FinetuningComputeConfig(DeviceConfig):
    """Number format, devices, threads, and how often a fine-tuning is saved."""

    model_config = ConfigDict(title="Compute of the fine-tuning")
    without_effect: ClassVar = DeviceConfig.without_effect.union({"checkpoint_every_minutes"})

    checkpoint_every_minutes: float = Field(default=5.0, ge=0)
    """Save weights and optimizer when so much time has passed since the last save, and after every evaluation; 0 saves
    after every step. So a kill costs so much work at the most, whatever a step takes, and saving little of it."""


class ComputeConfig(DeviceConfig):
    """Number format, threads, and the rhythm of checkpoints and progress."""

    model_config = ConfigDict(title="Compute")
    without_effect: ClassVar = DeviceConfig.without_effect.union(
        {
            "data_workers",
            "checkpoint_every_steps",
            "keep_checkpoints",
            "keep_every_steps",
            "keep_best",
            "progress_every_seconds",
            "carbon_country",
        }
    )

    loss_chunk_rows: int = Field(default=1024, ge=1)
    """Positions whose logits over the vocabulary exist at once; fewer need less memory. The result is the same but for
    rounding. A stock model continued as it is may need all at once, which the log then says."""
    compile: bool | Literal["auto"] = "auto"
    """Compile the model with torch.compile before training, which needs a C++ compiler on CPUs. Auto does it where the
    budget is long enough to win back the time that compiling takes, and says so in the log."""
    data_workers: int = Field(default=0, ge=0)
    """Processes that make batches beside training; 0 makes them in between. A batch takes less than a millisecond, so
    it pays for large batches on fast devices only. The result is the same."""
    checkpoint_every_steps: int = Field(default=100, ge=1)
    """Save model and optimizer after this many steps, and after the last."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """How many of the newest checkpoints stay on disk."""
    keep_every_steps: int | None = Field(default=None, ge=1)
    """Keep the checkpoints of multiples of this many steps as well; a multiple of checkpoint_every_steps."""
    keep_best: int = Field(default=0, ge=0)
    """Keep so many checkpoints of the lowest validation loss as well; one is saved whenever a validation is among the
    best."""
    progress_every_seconds: float = Field(default=1.0, ge=0)
    """Report loss and speed about this often; 0 reports every step."""
    carbon_country: str | None = None
    """Where the electricity comes from, by three letters (ISO 3166: DEU, USA), for the carbon dioxide of the run; null
    takes the world's average."""

    @field_validator("carbon_country")
    @classmethod
    def _country_is_known(cls, code: str | None) -> str | None:
        if code is not None and code not in table():
            raise ValueError(f"no carbon intensity is known for the country {code!r}{nearest(code, table())}")
        return code

    @model_validator(mode="after")
    def _kept_ones_are_saved(self) -> Self:
        kept, saved = self.keep_every_steps, self.checkpoint_every_steps
        if kept is not None and kept % saved:
            raise ValueError(
                f"keep_every_steps {kept} is not a multiple of checkpoint_every_steps {saved}; "
                f"take {max(1, round(kept / saved)) * saved}"
            )
        return self
