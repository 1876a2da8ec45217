"""Several stock networks of one base that hold the same modules: what one step changes, all have.

    BertForSequenceClassification          BertForTokenClassification
      bert.embeddings, bert.encoder  <---    bert.embeddings, bert.encoder
      bert.pooler, classifier                classifier

The children of the body (`base_model`) are shared by name. A pooler and what writes (`lm_head`) are parts of a head;
where a base ties what writes to its embedding, it is tied to the shared one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from lm_modules.training.layers import blocks, depth_of_parameters

OF_THE_HEAD = ("pooler",)


class SharedBackbone:
    """The body of a network, and those that hold its modules; without such it changes nothing."""

    def __init__(self, main: PreTrainedModel) -> None:
        self.main = main
        self._others: list[tuple[PreTrainedModel, list[str]]] = []

    def add(self, name: str, other: PreTrainedModel) -> None:
        """Let a network of the same base, learned beside under `name`, hold the modules of the main one.

        A ValueError says which of its blocks the main one has not.
        """
        children = shared_children(self.main, other, name)
        share(self.main, other, children)
        self._others.append((other, children))

    def share(self, main: PreTrainedModel) -> None:
        """Hand on what an adapter has put in the place of modules of the main network, or has put back."""
        for other, children in self._others:
            share(main, other, children)

    def around(self, main: nn.Module) -> nn.Module:
        """Return the module with all parameters, each once: the main network, with its adapter, where it is alone."""
        return SharedNetworks(main, [other for other, _ in self._others]) if self._others else main

    def num_parameters(self) -> int:
        """Return how many different parameters all networks have together."""
        return sum(each.numel() for each in self.around(self.main).parameters())


def depths_of(network: nn.Module) -> dict[str, int]:
    """Return the depth of every parameter as the main network has it; what others have of their own is at the top."""
    if not isinstance(network, SharedNetworks):
        return depth_of_parameters(network)
    depths = {f"main.{name}": depth for name, depth in depth_of_parameters(network.main).items()}
    top = max(depths.values())
    return {name: depths.get(name, top) for name, _ in network.named_parameters()}


def shared_children(main: PreTrainedModel, other: PreTrainedModel, name: str) -> list[str]:
    """Return the names of the children that `other` can take from `main`, both of one base.

    A ValueError says which blocks `other`, learned beside under `name`, could not share.
    """
    theirs, own = dict(main.base_model.named_children()), dict(other.base_model.named_children())
    found = [
        child
        for child, module in own.items()
        if child not in OF_THE_HEAD
        and module is not other.get_output_embeddings()
        and child in theirs
        and _shapes(module) == _shapes(theirs[child])
    ]
    shared = {id(module) for child in found for module in own[child].modules()}
    missing = [block for block, module in blocks(other).items() if id(module) not in shared]
    if missing:
        raise ValueError(
            f"finetuning.beside.{name}: {type(other).__name__} has blocks that {type(main).__name__} of "
            f"finetuning.head has not ({missing[0]} and {len(missing) - 1} more), so they cannot learn on the same "
            "weights; make it finetuning.head and put the other one beside it, or train them apart"
        )
    return found


def share(main: PreTrainedModel, other: PreTrainedModel, children: Iterable[str]) -> None:
    """Put children of the body of `main` in the place of those of `other`."""
    writes: Any = other.get_output_embeddings()
    is_tied = writes is not None and writes.weight is other.get_input_embeddings().weight
    for child in children:
        setattr(other.base_model, child, getattr(main.base_model, child))
    if is_tied:
        writes.weight = other.get_input_embeddings().weight


def _shapes(module: nn.Module) -> Any:
    return type(module), {name: tensor.shape for name, tensor in module.state_dict().items()}


class SharedNetworks(nn.Module):
    """A network and others that share its modules: each parameter is there once."""

    def __init__(self, main: nn.Module, others: Iterable[nn.Module]) -> None:
        super().__init__()
        self.main = main
        self.beside = nn.ModuleList(others)
