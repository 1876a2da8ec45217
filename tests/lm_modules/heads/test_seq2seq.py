"""A text for a text: as stock `transformers` scores and writes it, on encoder-decoders and on decoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from stock_bases import save_base
from tiny_models import save_bert, save_llama, save_t5
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.trainer_pt_utils import LabelSmoother

from configs.finetuning import FinetuningConfig
from lm_modules.data.labelled_examples import read_examples
from lm_modules.evaluation.metrics.chrf import Chrf
from lm_modules.evaluation.predictions import predict, predict_with_directory
from lm_modules.evaluation.scores import score
from lm_modules.heads import Prediction
from lm_modules.heads.seq2seq import Seq2seq
from lm_modules.model.stock import architecture_of, open_tokenizer, quiet_loading
from lm_modules.serving.seq2seq_service import Seq2seqService
from lm_modules.training.finetuning import finetune
from lm_modules.training.finetuning_evaluations import Validation
from lm_modules.training.reporting import keep_going

torch.set_num_threads(1)
BASES = {
    "t5": save_t5,
    "llama": save_llama,
    "bart": lambda directory: save_base("bart", directory),
    "gpt2": lambda directory: save_base("gpt2", directory),
}
DATA = {"kind": "jsonl", "path": "the functions are given a directory"}
PAIRS = [("a red cat sat", "un gato"), ("two", "dos perros"), ("it rains", "llueve")]
SETTINGS = {
    "greedy": {"num_beams": 1},
    "beams": {"num_beams": 3},
    "long": {"num_beams": 3, "length_penalty": 2.0},
    "without repetition": {"num_beams": 2, "no_repeat_ngram_size": 1},
}


@pytest.fixture(params=BASES)
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a random model whose matrices are so large that what it writes depends on what it read."""
    directory = BASES[request.param](tmp_path / "base")
    model = stock_model(directory)
    with torch.no_grad(), quiet_loading():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
        model.save_pretrained(directory)
    return directory


def stock_model(base: Path) -> Any:
    has_encoder = architecture_of(base) == "encoder_decoder"
    return (AutoModelForSeq2SeqLM if has_encoder else AutoModelForCausalLM).from_pretrained(base).eval()


def batch_of(head: Seq2seq, tokenizer: Any, pairs=PAIRS) -> dict[str, torch.Tensor]:
    rows = [head.encode({"source": source, "target": target}, tokenizer, [])[0] for source, target in pairs]
    return head.collate(rows, tokenizer.pad_token_id)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_batch_is_written_as_stock_transformers_writes_each_alone(base, settings):
    head, tokenizer, stock = Seq2seq(max_new_tokens=10, **settings), open_tokenizer(base, 31), stock_model(base)
    found = head.predict(head.network(base, []), batch_of(head, tokenizer))
    written = []
    for source, _ in PAIRS:
        (row,) = head.encode({"source": source}, tokenizer, [])
        tokens_BL = torch.tensor([row.token_ids])
        tokens = stock.generate(
            input_ids=tokens_BL,
            attention_mask=torch.ones_like(tokens_BL),
            max_new_tokens=10,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            forced_bos_token_id=None,
            **settings,
        )[0]
        written.append(tokens[1 if stock.config.is_encoder_decoder else len(row.token_ids) :].tolist())
    assert [each.value for each in found] == written
    assert len({tuple(each) for each in written}) > 1


def test_the_loss_is_that_of_stock_transformers(base):
    head, tokenizer, stock = Seq2seq(max_new_tokens=12), open_tokenizer(base, 31), stock_model(base)
    network, batch = head.network(base, []).eval(), batch_of(head, tokenizer)
    losses, numbers, smooth = [], [], []
    for source, target in PAIRS:
        (row,) = head.encode({"source": source, "target": target}, tokenizer, [])
        read, asked = torch.tensor([row.token_ids]), torch.tensor([row.target])
        if stock.config.is_encoder_decoder:
            labels = asked
            logits = stock(input_ids=read, labels=labels).logits
            losses.append(stock(input_ids=read, labels=labels).loss.item())
        else:
            labels = torch.cat([torch.full_like(read, -100), asked], 1)
            stock_outputs = stock(input_ids=torch.cat([read, asked], 1), labels=labels)
            logits = stock_outputs.logits
            losses.append(stock_outputs.loss.item())
        numbers.append(len(row.target))
        smooth.append(
            LabelSmoother(0.1)({"logits": logits}, labels, shift_labels=not stock.config.is_encoder_decoder).item()
        )
    found = head.losses(network, batch)
    assert [each.loss for each in found] == pytest.approx(losses, rel=1e-5)
    assert [each.num_targets for each in found] == numbers
    for expected, smoothing in ((losses, 0.0), (smooth, 0.1)):
        mean = sum(loss * number for loss, number in zip(expected, numbers, strict=True)) / sum(numbers)
        assert head.loss(network, batch, smoothing).item() == pytest.approx(mean, rel=1e-5)
    assert head.num_targets([head.encode({"source": s, "target": t}, tokenizer, [])[0] for s, t in PAIRS]) == sum(
        numbers
    )


def test_a_batch_has_the_gradient_of_its_rows_alone(base):
    head, tokenizer = Seq2seq(max_new_tokens=12), open_tokenizer(base, 31)
    network = head.network(base, []).eval()

    def gradient(pairs) -> dict[str, torch.Tensor]:
        network.zero_grad()
        batch = batch_of(head, tokenizer, pairs)
        (head.loss(network, batch) * (batch["labels"] >= 0).sum()).backward()
        return {name: each.grad for name, each in network.named_parameters() if each.grad is not None}

    together, alone = gradient(PAIRS), [gradient([pair]) for pair in PAIRS]
    largest = max(each.abs().max().item() for each in together.values())
    for name, found in together.items():
        torch.testing.assert_close(found, sum(each[name] for each in alone), rtol=1e-4, atol=1e-5 * largest)


def test_the_saved_model_writes_the_same_in_the_code_of_its_card(base, tmp_path):
    head = Seq2seq(max_new_tokens=9, num_beams=3, length_penalty=0.5, prompt="Say {source} =")
    network, tokenizer = head.network(base, []), open_tokenizer(base, 31)
    network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (row,) = head.encode({"source": "The cat sleeps."}, tokenizer, [])
    said = head.predict(network, head.collate([row], tokenizer.pad_token_id))
    expected = head.answer({}, [row], said, tokenizer).value
    *lines, last = head.usage_of(network, tokenizer).splitlines()
    names: dict[str, Any] = {"directory": str(tmp_path / "model")}
    exec("\n".join(lines), names)
    assert eval(last, names).strip() == expected
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert again("Say The cat sleeps. =")["input_ids"] == row.token_ids


def test_of_a_long_source_the_end_is_cut_and_nothing_of_the_prompt(base):
    head, tokenizer = Seq2seq(max_new_tokens=8, prompt="Say: {source} ="), open_tokenizer(base, 31)
    for source in ("abcdefghijklmnopqrstuvwxyz" * 5, "\N{GRINNING FACE}" * 40, "short"):
        (row,) = head.encode({"source": source, "target": "x" * 50}, tokenizer, [])
        text = tokenizer.decode(row.token_ids, skip_special_tokens=True)
        assert text.startswith("Say: ")
        assert text.endswith(" =")
        assert source.startswith(text.removeprefix("Say: ").removesuffix(" ="))
        assert len(row.token_ids) <= 31 - 8
        assert (len(row.token_ids) > 31 - 8 - 5) == (source != "short")
        assert len(row.target) == 8
        assert tokenizer.eos_token_id not in row.target  # the answer goes on
        assert row.is_cut
        (row,) = head.encode({"source": source, "target": "x"}, tokenizer, [])
        assert row.is_cut == (source != "short")


def test_a_target_ends_with_the_end_token_and_a_source_of_encoder_decoders_too(base):
    head, tokenizer = Seq2seq(max_new_tokens=20), open_tokenizer(base, 31)
    (row,) = head.encode({"source": "a cat", "target": "un gato"}, tokenizer, [])
    assert row.target.count(tokenizer.eos_token_id) == 1
    assert row.target[-1] == tokenizer.eos_token_id
    assert (tokenizer.eos_token_id in row.token_ids[1:]) == (architecture_of(base) == "encoder_decoder")
    assert tokenizer.decode(row.token_ids, skip_special_tokens=True).strip() == "a cat"


def test_a_special_token_in_a_text_stays_text(base):
    head, tokenizer = Seq2seq(max_new_tokens=8), open_tokenizer(base, 31)
    (row,) = head.encode({"source": f"a {tokenizer.eos_token} b"}, tokenizer, [])
    assert row.token_ids.count(tokenizer.eos_token_id) <= 1


def test_without_a_target_there_is_an_answer_and_no_loss(base):
    head, tokenizer = Seq2seq(max_new_tokens=8), open_tokenizer(base, 31)
    network = head.network(base, [])
    batch = head.collate(head.encode({"source": "a cat"}, tokenizer, []), tokenizer.pad_token_id)
    (found,) = head.predict(network, batch)
    assert found.loss is None
    assert len(found.value) <= 8
    assert 0 < found.probability < 1
    assert head.losses(network, batch) == [Prediction(None, 0.0)]


def test_what_cannot_be_is_refused(tmp_path):
    for prompt in ("no place", "{source} and {source}"):
        with pytest.raises(ValueError, match=r"write \{source\} once"):
            Seq2seq(prompt=prompt)
    tokenizer = open_tokenizer(save_llama(tmp_path / "llama"), 16)
    with pytest.raises(ValueError, match=r"max_new_tokens 16 leaves nothing of context_length 16 .* raise"):
        Seq2seq(max_new_tokens=16).encode({"source": "a"}, tokenizer, [])
    with pytest.raises(ValueError, match="the prompt alone has 15 tokens where 8 are left"):
        Seq2seq(max_new_tokens=8, prompt="A long question{source}").encode({"source": "a"}, tokenizer, [])
    with pytest.raises(ValueError, match="is an encoder, and the head seq2seq needs a decoder or encoder-decoder"):
        Seq2seq().network(save_bert(tmp_path / "bert"), [])


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_a_fine_tuned_model_answers_alike_in_evaluation_and_in_service(adapter, tmp_path):
    for save in (save_t5, save_llama):
        data = labelled(tmp_path / f"{save.__name__}-data")
        config = FinetuningConfig.model_validate(
            {
                "data": DATA,
                "head": {"kind": "seq2seq", "max_new_tokens": 10, "num_beams": 2, "prompt": "{source} =>"},
                "adapter": adapter,
                "dropout": 0.0,
                "context_length": 40,
                "optimization": {
                    "learning_rate": 1e-2,
                    "layer_decay": 1.0,
                    "epochs": 5,
                    "batch_examples": 8,
                    "evaluations_per_epoch": 1,
                    "early_stopping_patience": None,
                },
                "tuning": {"metric": "validation/loss"},
            }
        )
        result = finetune(
            config,
            base=save(tmp_path / save.__name__),
            data=data,
            workdir=tmp_path / f"{save.__name__}-work",
            seed=0,
            report=keep_going,
        )
        assert result["validation/loss"] < 4  # 5.6 of random weights
        examples = read_examples(data, "test")
        answers = [each.value for each in predict_with_directory(result["model"], examples)]
        assert Seq2seqService(result["model"]).predict([each.fields["source"] for each in examples]) == answers
        card = (Path(result["model"]) / "README.md").read_text()
        assert "'{source} =>'.replace(" in card
        settings = json.loads((Path(result["model"]) / "generation_config.json").read_text())
        assert settings["num_beams"] == 2
        assert settings["max_new_tokens"] == 10
        assert "the others on 5 examples" in card


def test_an_evaluation_in_training_writes_the_same_few_answers_and_tells_the_loss_of_all(tmp_path):
    head, tokenizer = Seq2seq(max_new_tokens=8, num_beams=1), open_tokenizer(save_t5(tmp_path / "base"), 31)
    network, examples = head.network(tmp_path / "base", []), read_examples(labelled(tmp_path / "data"), "train")
    few, all_of_them = (Validation(head, examples, tokenizer, [], most) for most in (3, None))
    values, of_all = few.values(network), all_of_them.values(network)
    assert values["validation/loss"] == pytest.approx(of_all["validation/loss"], rel=1e-5)
    answers = [each.value for each in predict(head, network, tokenizer, examples, few.encoded, set(few.answered))]
    assert [place for place, answer in enumerate(answers) if answer is not None] == few.answered
    assert len(few.answered) == 3
    assert few.answered == Validation(head, examples, tokenizer, [], 3).answered
    references = [each.fields["target"] for each in examples]
    expected = score(
        Chrf(), [answers[place] for place in few.answered], [references[place] for place in few.answered], []
    )
    assert values["validation/chrf"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="max_new_tokens 256 leaves nothing of context_length 256"):
        FinetuningConfig.model_validate({"data": DATA, "head": {"kind": "seq2seq", "max_new_tokens": 256}})
    with pytest.raises(ValueError, match="validation_answers 5 has no effect"):
        FinetuningConfig.model_validate({"optimization": {"validation_answers": 5}})


def labelled(directory: Path) -> Path:
    """Write a set in which numbers are translated."""
    numbers = {"one": "uno", "two": "dos", "three": "tres", "four": "cuatro", "five": "cinco"}
    directory.mkdir()
    for split, copies in (("train", 8), ("validation", 1), ("test", 2)):
        rows = [
            {"id": f"{split}-{copy}-{word}", "source": word, "target": answer, "group": None}
            for copy in range(copies)
            for word, answer in numbers.items()
        ]
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "labels.json").write_text("[]")
    (directory / "head.json").write_text('{"kind": "seq2seq"}')
    return directory
