"""A stock model that becomes our network and is exported again is the same model."""

import pytest
import torch
from transformers import (
    EuroBertConfig,
    EuroBertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    MinistralConfig,
    MinistralForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from configs.component import members
from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.training.continuation import importers

OBJECTIVES = members("lm_modules.objectives")
VOCABULARY = Vocabulary(96, 0, tuple((name, index) for index, name in enumerate([*SPECIAL, sentinel(0)])))
IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "mask_token_id": 2}
U_MUP = {
    "kind": "u_mup",
    "alpha_feed_forward_activation": 1.3,
    "alpha_attention_softmax": 0.7,
    "alpha_residual": 1.4,
    "alpha_residual_attention_ratio": 0.8,
    "alpha_loss_softmax": 1.2,
}
LIKE_LLAMA = {
    "vocab_size": 96,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    "max_position_embeddings": 64,
}
FULL, LOCAL = "full_attention", "sliding_attention"
WINDOW = {"sliding_window": 8, "layer_types": [FULL, LOCAL, FULL]}
STOCK = {
    "llama": ("causal_lm", LlamaForCausalLM, LlamaConfig, LIKE_LLAMA),
    "qwen3": ("causal_lm", Qwen3ForCausalLM, Qwen3Config, LIKE_LLAMA),
    "ministral": ("causal_lm", MinistralForCausalLM, MinistralConfig, LIKE_LLAMA | WINDOW),
    "eurobert": ("masked_lm", EuroBertForMaskedLM, EuroBertConfig, LIKE_LLAMA),
    "t5": (
        "span_denoising",
        T5ForConditionalGeneration,
        T5Config,
        {
            "vocab_size": 96,
            "d_model": 48,
            "d_kv": 8,
            "d_ff": 80,
            "num_layers": 3,
            "num_heads": 6,
            "feed_forward_proj": "gated-silu",
            "layer_norm_epsilon": 1e-6,
            "pad_token_id": 1,
            "decoder_start_token_id": 1,
        },
    ),
    "modernbert": (
        "masked_lm",
        ModernBertForMaskedLM,
        ModernBertConfig,
        {
            "vocab_size": 96,
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 5,
            "num_attention_heads": 6,
            "hidden_activation": "gelu_pytorch_tanh",
            "norm_eps": 1e-6,
            "local_attention": 8,
            "rope_parameters": {
                FULL: {"rope_type": "default", "rope_theta": 500.0},
                LOCAL: {"rope_type": "default", "rope_theta": 50.0},
            },
            "max_position_embeddings": 64,
            "decoder_bias": False,
            "cls_token_id": 0,
            "sep_token_id": 0,
            # weights of 0.02 would let the embedding alone speak
            "initializer_range": 0.2,
        },
    ),
}
# every shape that our engine can export: the kind, what differs in it, and what it is called in our words
SHAPES = {
    **{kind: (kind, {}, {}) for kind in STOCK if kind != "modernbert"},
    "llama with GeGLU": ("llama", {"hidden_act": "gelu_pytorch_tanh"}, {"activation": "gelu"}),
    "eurobert with GeGLU": ("eurobert", {"hidden_act": "gelu_pytorch_tanh"}, {"activation": "gelu"}),
    "t5 with GeGLU": ("t5", {"feed_forward_proj": "gated-gelu"}, {"activation": "gelu"}),
    "qwen3 with windows and GeGLU": (
        "qwen3",
        {"use_sliding_window": True, "hidden_act": "gelu_pytorch_tanh", **WINDOW},
        {"activation": "gelu", "sliding_window": 8, "global_every": 2},
    ),
    "ministral with GeGLU": (
        "ministral",
        {"hidden_act": "gelu_pytorch_tanh", "layer_types": [FULL, LOCAL, LOCAL]},
        {"activation": "gelu", "sliding_window": 8, "global_every": 3},
    ),
    "ministral of one layer": ("ministral", {"num_hidden_layers": 1, "layer_types": [FULL]}, {"sliding_window": 8}),
    "ministral with one global layer": (
        "ministral",
        {"num_hidden_layers": 6, "layer_types": [FULL, *[LOCAL] * 5]},
        {"sliding_window": 8, "global_every": 6},
    ),
    "modernbert": (
        "modernbert",
        {},
        {
            "activation": "gelu",
            "sliding_window": 8,
            "global_every": 3,
            "rope_theta": 500.0,
            "local_rope_theta": 50.0,
            "head_width": 8,
            "encoder": "modernbert",
        },
    ),
    "modernbert with SiLU and an odd window": (
        "modernbert",
        {"hidden_activation": "silu", "local_attention": 7, "layer_types": [FULL, LOCAL, FULL, LOCAL, FULL]},
        {"activation": "silu", "sliding_window": 7, "global_every": 2},
    ),
    "modernbert without windows": (
        "modernbert",
        {
            "layer_types": [FULL] * 5,
            # of no effect then; ours are exported with these
            "local_attention": 40,
            "rope_parameters": {each: {"rope_type": "default", "rope_theta": 500.0} for each in (FULL, LOCAL)},
        },
        {"sliding_window": None, "local_rope_theta": None},
    ),
}
NOT_OF_THE_SHAPE = {"max_position_embeddings", "initializer_range", "dropout_rate"}
FIXED_NORMS = ("q_norm", "k_norm", "embeddings.norm")


def stock_model(kind, *, tied=False, gains=False, **settings):
    """A random stock model; `gains` draws those of its norms, too, but for the norms that our network cannot fold."""
    _, build, config, fields = STOCK[kind]
    torch.manual_seed(0)
    stock = build(config(**(fields | IDS | {"tie_word_embeddings": tied} | settings))).eval()
    if kind == "t5" and not tied:  # see the export of T5
        stock.lm_head.weight = torch.nn.Parameter(torch.randn_like(stock.lm_head.weight) / 48**0.5)
    with torch.no_grad():
        if kind == "t5" and tied:  # it divides the last state by sqrt(width), which the last norm has to take back
            stock.shared.weight.div_(48**0.5)
            stock.decoder.final_layer_norm.weight.fill_(48**0.5)
        for name, parameter in stock.named_parameters():
            if gains and "norm" in name and not any(each in name for each in FIXED_NORMS):
                parameter.uniform_(0.5, 1.5)
            elif "bias" in name:
                parameter.normal_()
    return stock


def imported(kind, stock, parametrization):
    importer, objective = importers()[kind], OBJECTIVES[STOCK[kind][0]]()
    model = ModelConfig(context_length=40, parametrization=parametrization, **importer.shape(stock.config))
    assert objective.architecture(model) == importer.kind
    network = objective.network(model, VOCABULARY, 320).eval()
    network.load_state_dict(importer.unfolded(stock.state_dict(), network, model), strict=True)
    return importer, network, model


# the norms of queries and keys hold u-muP's constant, which no stock model has by chance
VARIANTS = [
    (name, each)
    for name, (kind, _, _) in SHAPES.items()
    for each in ("standard", "u_mup", U_MUP)
    if kind != "qwen3" or each == "standard"
]


@pytest.mark.parametrize(("name", "parametrization"), VARIANTS)
@pytest.mark.parametrize("gains", [False, True])
def test_what_is_imported_and_exported_is_the_same_model(name, parametrization, gains):
    kind, settings, shape = SHAPES[name]
    stock = stock_model(kind, gains=gains, **settings)
    importer, network, model = imported(kind, stock, parametrization)
    assert {field: getattr(model, field) for field in shape} == shape
    assert importer.difference(network, stock, 96, [17, 40]) <= 1e-5
    again = importer.stock(network, model, 96, IDS)
    before, after = stock.config.to_dict(), again.config.to_dict()
    assert {field for field in before | after if before.get(field) != after.get(field)} <= NOT_OF_THE_SHAPE
    assert importer.difference(network, again, 96, [17, 40]) <= 1e-5
    if not gains:
        expected = stock.state_dict()
        assert set(again.state_dict()) == set(expected)
        for name, weight in again.state_dict().items():
            torch.testing.assert_close(weight, expected[name], rtol=1e-6, atol=0)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("windows", [{}, {"sliding_window": 8, "global_every": 2}], ids=["global", "windows"])
@pytest.mark.parametrize("parametrization", ["standard", "u_mup", U_MUP], ids=["standard", "u_mup", "alphas"])
def test_our_network_with_normed_queries_is_exported_imported_and_exported_as_the_same_model(
    parametrization, windows, tied
):
    ours = ModelConfig(
        width=48,
        depth=3,
        head_width=8,
        key_value_heads=2,
        feed_forward_width=80,
        context_length=40,
        query_key_norm=True,
        tied_embeddings=tied,
        parametrization=parametrization,
        **windows,
    )
    network = OBJECTIVES["causal_lm"]().network(ours, VOCABULARY, 320).eval()
    initialize(network, torch.Generator().manual_seed(0))
    stock = importers()["qwen3"].stock(network, ours, 96, IDS)
    importer, read, model = imported("qwen3", stock, parametrization)
    assert model == ours
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], weight, rtol=1e-6, atol=0)
    again = importer.stock(read, model, 96, IDS)
    assert again.config.to_dict() == stock.config.to_dict()
    assert set(again.state_dict()) == set(stock.state_dict())
    for name, weight in again.state_dict().items():
        torch.testing.assert_close(weight, stock.state_dict()[name], rtol=1e-6, atol=0)
    assert importer.difference(read, stock, 96, [17, 40]) <= 1e-5


@pytest.mark.parametrize("kind", ["llama", "ministral", "eurobert", "t5", "modernbert"])
def test_a_tied_model_comes_back_tied(kind):
    stock = stock_model(kind, tied=True)
    importer, network, model = imported(kind, stock, "standard")
    again = importer.stock(network, model, 96, IDS)
    assert importer.difference(network, stock, 96, [17, 40]) <= 1e-5
    for name, weight in again.state_dict().items():
        torch.testing.assert_close(weight, stock.state_dict()[name], rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["llama", "ministral", "eurobert", "t5", "modernbert"])
def test_gains_that_no_matrix_can_hold_are_refused(kind):
    with pytest.raises(ValueError, match=r"tied to the embedding, has gains from .* as it is: set pretraining.as_it_"):
        imported(kind, stock_model(kind, tied=True, gains=True), "standard")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tied", [True, False])
def test_an_export_of_ours_that_was_saved_in_half_precision_is_refused_with_the_reason(dtype, tied):
    fields = STOCK["qwen3"][3] | IDS | {"tie_word_embeddings": tied}
    model = ModelConfig(context_length=40, **importers()["qwen3"].shape(STOCK["qwen3"][2](**fields)))
    network = OBJECTIVES["causal_lm"]().network(model, VOCABULARY, 320).eval()
    initialize(network, torch.Generator().manual_seed(0))
    stock = importers()["qwen3"].stock(network, model, 96, IDS)
    with pytest.raises(ValueError, match=r"gains from 0\.35\d+ to 0\.35\d+; .* 0\.3535534\. Was it saved in half prec"):
        imported("qwen3", stock.to(dtype).float(), "u_mup")


@pytest.mark.parametrize("gain", [1.5, 1.00001])
def test_a_gain_between_the_embedding_and_the_stream_is_refused(gain):
    stock = stock_model("modernbert")
    with torch.no_grad():
        stock.model.embeddings.norm.weight[3] = gain
    with pytest.raises(
        ValueError, match=rf"model\.embeddings\.norm has gains from 1 to {gain}; .* others than 1\. Continue"
    ):
        imported("modernbert", stock, "standard")


def test_norms_of_queries_and_keys_are_refused_unless_they_are_what_the_constants_need():
    stock = stock_model("qwen3")
    with pytest.raises(
        ValueError, match=r"queries and keys in layer 0 has gains from 1 to 1; .* others than 0\.3535534"
    ):
        imported("qwen3", stock, "u_mup")
    with torch.no_grad():
        stock.model.layers[1].self_attn.q_norm.weight[3] = 1.5
    with pytest.raises(ValueError, match=r"queries and keys in layer 1.*others than 1\. Continue"):
        imported("qwen3", stock, "standard")


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("llama", {"attention_bias": True}, "attention_bias True"),
        ("llama", {"mlp_bias": True}, "mlp_bias True"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ("llama", {"head_dim": 16}, r"head_dim 16 \(held: 8\)"),
        ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "rope_type 'linear'"),
        (
            "qwen3",
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2},
            r"layer_types 2 full_attention, 1 sliding_attention with a window of 8 \(held: full_attention in the first",
        ),
        ("qwen3", {"layer_types": [FULL, LOCAL, FULL]}, "layer_types 1 full.*, 1 sliding.*, 1 full.* window of None"),
        ("ministral", {"layer_types": None}, "layer_types 3 sliding_attention with a window of 8"),
        ("ministral", {"layer_types": [FULL] * 3}, "layer_types 3 full_attention with a window of 8"),
        ("modernbert", {"hidden_activation": "gelu"}, r"hidden_.* 'gelu' \(held: 'silu' or 'gelu_pytorch_tanh'\)"),
        ("modernbert", {"classifier_activation": "silu"}, "classifier_activation 'silu'"),
        ("modernbert", {"decoder_bias": True, "norm_bias": True}, "norm_bias True .*, decoder_bias True"),
        ("modernbert", {"layer_types": [LOCAL, FULL] * 2 + [FULL]}, "layer_types 1 sliding.* with a window of 8"),
        (
            "modernbert",
            {"rope_parameters": {LOCAL: {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}},
            "rope_type of sliding_attention 'linear'",
        ),
        ("t5", {"feed_forward_proj": "relu"}, "feed_forward_proj 'relu'"),
        ("t5", {"num_decoder_layers": 2}, "num_decoder_layers 2"),
    ],
)
def test_a_stock_model_with_more_than_ours_is_refused_with_the_reason(kind, settings, reason):
    _, _, config, fields = STOCK[kind]
    with pytest.raises(ValueError, match=rf"cannot hold this {kind}: {reason}.*as_it_is to true"):
        importers()[kind].shape(config(**(fields | settings)))
