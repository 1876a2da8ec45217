"""What a fine-tuning keeps on disk, so that it can be killed at any moment.

    checkpoints/step-.../    trained parameters, AdamW's moments and progress, as of the last save
    best/step-.../           trained parameters of the best evaluation so far
    result.json              written last

The best weights are written before the checkpoint that names them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lm_modules.training import checkpoints
from lm_modules.training.optimizers import bring_state_to_weights
from lm_modules.training.ranks import Ranks


@dataclass
class Progress:
    """How far a fine-tuning is."""

    step: int = 0
    best_step: int = 0
    best_values: dict[str, float] = field(default_factory=dict)
    evaluations_since_best: int = 0
    seconds: float = 0.0
    kilowatt_hours: float = 0.0
    losses: list[float] = field(default_factory=list)
    """The loss of each step since the last evaluation, which reports their mean."""
    micro_batch_examples: int | None = None
    """How many examples were in memory at once; dropout is drawn for each micro-batch."""


class FinetuningState:
    """The working directory of one fine-tuning; `identity` names its settings, data and seed."""

    def __init__(self, workdir: Path, identity: str) -> None:
        self.workdir = workdir
        self.identity = identity
        self.progress = Progress()
        self.precision: str | None = None
        workdir.mkdir(parents=True, exist_ok=True)

    def restore(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
    ) -> None:
        """Load the last state, if rank 0 finds one, into the network, the optimizer and `progress`."""
        checkpoint = ranks.told(checkpoints.newest(self.workdir / "checkpoints") if ranks.leads else None)
        if checkpoint is None:
            return
        state = checkpoints.read_state(checkpoint)
        self._require_identity(state["identity"])
        self.progress, self.precision = Progress(**state["progress"]), state.get("precision")
        _load(network, checkpoint)
        moments = checkpoints.read_tensors(checkpoint, "optimizer")
        parameters = trainable(network)
        for key, value in moments.items():  # a weight that no row has used yet has none
            moment, _, name = key.partition("/")
            # what was read is a map of the file, which would take up the disk for as long as it is used
            optimizer.state[parameters[name]][moment] = value.clone()
        bring_state_to_weights([optimizer])

    def save(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write the state, and the weights beside it if the evaluation of this step is the best so far."""
        parameters = trainable(network)
        weights = {name: parameter.data for name, parameter in parameters.items()}
        moments = {
            f"{moment}/{name}": value
            for name, parameter in parameters.items()
            for moment, value in optimizer.state.get(parameter, {}).items()
        }
        step = self.progress.step
        state = {"identity": self.identity, "progress": asdict(self.progress), "precision": self.precision}
        if self.progress.best_step == step:
            checkpoints.save(self.workdir / "best", step, {"model": weights}, state)
        checkpoints.save(self.workdir / "checkpoints", step, {"model": weights, "optimizer": moments}, state)
        checkpoints.keep_newest(self.workdir / "best", 1, step=step)
        checkpoints.keep_newest(self.workdir / "checkpoints", 1, step=step)

    def load_best(self, network: nn.Module) -> None:
        """Put the weights of the best evaluation into the network."""
        best = self.workdir / "best" / checkpoints.step_name(self.progress.best_step)
        if damage := checkpoints.find_damage(best):
            raise ValueError(f"the best weights in {best} are damaged ({damage}); delete {self.workdir} and run again")
        _load(network, best)

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result: from now on the fine-tuning is not run again."""
        temporary = self.workdir / ".result.json"
        temporary.write_text(json.dumps({"identity": self.identity, "result": result}, indent=2), encoding="utf-8")
        os.replace(temporary, self.workdir / "result.json")

    def result(self) -> dict[str, Any] | None:
        """Return the result of a finished fine-tuning, None if there is more to do."""
        path = self.workdir / "result.json"
        if not path.is_file():
            return None
        written = json.loads(path.read_text(encoding="utf-8"))
        self._require_identity(written["identity"])
        return written["result"]

    def _require_identity(self, found: str) -> None:
        if found != self.identity:
            raise ValueError(
                f"{self.workdir} holds a fine-tuning with other settings or data; choose another directory"
            )


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that fine-tuning changes, by name."""
    return {name: each for name, each in network.named_parameters() if each.requires_grad}


def identity_of(*parts: str) -> str:
    """Return the sha256 of several texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _load(network: nn.Module, checkpoint: Path) -> None:
    weights = checkpoints.read_tensors(checkpoint, "model")
    for name, parameter in trainable(network).items():
        parameter.data.copy_(weights[name])
