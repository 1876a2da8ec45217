"""What every adapter must do, on a decoder, an encoder and an encoder-decoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tiny_models import save_bert, save_llama, save_t5

from configs.component import members
from lm_modules.adapters import Adapter
from lm_modules.adapters._peft import PeftAdapter
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.heads.token_classification import TokenClassification
from lm_modules.model.stock import quiet_loading
from lm_modules.training.finetuning_state import trainable
from lm_modules.training.shared_backbone import SharedBackbone

torch.set_num_threads(1)
FAMILY = members("lm_modules.adapters")
SETTINGS = {"dora": {"kind": "lora", "directions_apart": True}, "upper": {"kind": "full", "frozen_blocks": 1}}
"""Members with other settings than their defaults."""
TOKENS = torch.arange(2, 22).reshape(2, 10)
TOKENS[:, -1] = 1  # T5's classifier answers from the end token
BATCH = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS), "labels": torch.tensor([0, 1])}
INPUTS = {key: BATCH[key] for key in ("input_ids", "attention_mask")}


@pytest.fixture(params=[*FAMILY, *SETTINGS])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    settings = SETTINGS.get(request.param, {"kind": request.param})
    return FAMILY[settings["kind"]].model_validate(settings)


@pytest.fixture(params=[save_llama, save_bert, save_t5], ids=["llama", "bert", "t5"])
def trained(request: pytest.FixtureRequest, adapter: Adapter, tmp_path: Path):
    """Return a module after five steps that moved every trainable weight, and all its weights before them."""
    torch.manual_seed(0)
    head = SequenceClassification()
    network = adapter.apply(head.network(request.param(tmp_path), ["a", "b"]))
    before = {name: each.detach().clone() for name, each in network.named_parameters()}
    optimizer = torch.optim.SGD(trainable(network).values(), lr=0.3)
    for _ in range(5):
        head.loss(network, BATCH).backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.eval(), before


def test_the_merged_model_answers_as_the_trained_one_and_is_stock(adapter, trained):
    network, _ = trained
    inputs = {key: BATCH[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        logits = network(**inputs).logits
        merged = adapter.merge(network)
        torch.testing.assert_close(merged(**inputs).logits, logits, atol=1e-5, rtol=0)
    assert type(merged).__module__.startswith("transformers.")
    assert not [name for name, _ in merged.named_parameters() if "lora" in name or "modules_to_save" in name]


@pytest.mark.parametrize("save", [save_llama, save_bert, save_t5])
def test_what_is_learned_beside_answers_with_what_the_adapter_learned_also_when_it_is_saved(adapter, save, tmp_path):
    torch.manual_seed(0)
    heads = SequenceClassification(), TokenClassification()
    main, other = (head.network(save(tmp_path / "base"), ["a", "b"]) for head in heads)
    backbone = SharedBackbone(main)
    backbone.add("entities", other)
    network = adapter.apply(main)
    backbone.share(main)
    untaught = other.eval()(**INPUTS).logits.detach()
    optimizer = torch.optim.SGD(trainable(backbone.around(network)).values(), lr=0.3)
    for _ in range(5):
        # the loss of one alone: what moves in the other's answers is shared
        heads[0].loss(network, BATCH).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        logits = [each.eval()(**INPUTS).logits for each in (network, other)]
    assert not torch.equal(logits[1], untaught)
    merged = adapter.merge(network)
    backbone.share(merged)
    for head, each, expected in zip(heads, (merged, other), logits, strict=True):
        with quiet_loading():
            each.save_pretrained(tmp_path / head.kind)
            opened = head.auto_class(tmp_path).from_pretrained(tmp_path / head.kind)
        assert not [name for name in each.state_dict() if "lora" in name or "modules_to_save" in name]
        with torch.no_grad():
            torch.testing.assert_close(opened.eval()(**INPUTS).logits, expected, atol=1e-5, rtol=0)


def test_the_head_learns(adapter, trained):
    network, before = trained
    moved = [name for name, each in trainable(network).items() if not torch.equal(each, before[name])]
    assert any("score" in name or "classif" in name for name in moved)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_what_is_kept_by_itself_answers_on_its_base(adapter, trained, tmp_path):
    network, _ = trained
    inputs = {key: BATCH[key] for key in ("input_ids", "attention_mask")}
    adapter.keep(network, tmp_path / "adapter")
    if not isinstance(adapter, PeftAdapter):
        assert not (tmp_path / "adapter").exists()
        return
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "adapter").glob("*.json"))
    with torch.no_grad():
        logits = network(**inputs).logits
        torch.manual_seed(1)  # another head than the one that was there
        base = SequenceClassification().network(tmp_path, ["a", "b"])
        again = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
        torch.testing.assert_close(again(**inputs).logits, logits, atol=1e-6, rtol=0)


def test_what_is_frozen_stays_as_it_was(adapter, trained):
    network, before = trained
    frozen = {name: each for name, each in network.named_parameters() if not each.requires_grad}
    assert all(torch.equal(each, before[name]) for name, each in frozen.items())
    assert bool(frozen) == (adapter != FAMILY["full"]())


def test_has_a_docstring_and_survives_json(adapter):
    assert type(adapter).__doc__
    assert type(adapter).model_validate_json(adapter.model_dump_json()) == adapter


def test_ia3_scales_keys_and_values_where_heads_share_them(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForSequenceClassification

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=50, num_key_value_heads=1, pad_token_id=0, **sizes)
    network = FAMILY["ia3"]().apply(LlamaForSequenceClassification(config))
    factors = {name: tuple(each.shape) for name, each in trainable(network).items() if "ia3" in name}
    shapes = {name.split("self_attn.")[-1].split("mlp.")[-1].split(".")[0]: shape for name, shape in factors.items()}
    assert shapes == {"k_proj": (8, 1), "v_proj": (8, 1), "down_proj": (1, 64)}
