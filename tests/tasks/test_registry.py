from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import save_llama, save_t5

from lm_modules.data.documents import Example
from lm_modules.evaluation.predictions import predict_with_directory
from lm_modules.heads.seq2seq import Seq2seq
from lm_modules.model.stock import open_tokenizer
from tasks import filing, logged_models, registry, tracking
from tasks.digests import digest_directory

PROMOTE = """
import sys
from tasks import filing, logged_models, registry
try:
    registry.move_champion("contested", sys.argv[1], {"by": sys.argv[1]}, expected_champion="1")
except RuntimeError as error:
    sys.exit(f"{error}" if "evaluate it again" in str(error) else 3)
"""


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny language model and a tiny classifier, as stock directories."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        LlamaForSequenceClassification,
        LlamaForTokenClassification,
        PreTrainedTokenizerFast,
    )
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vocabulary = ["<|endoftext|>", "<|pad|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bytes_only = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(vocabulary)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|pad|>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_only, model_max_length=64, **special)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
        id2label={0: "cat", 1: "dog"},
        label2id={"cat": 0, "dog": 1},
        **sizes,
    )
    found = {}
    for service, kind in (
        ("language_model", LlamaForCausalLM),
        ("classifier", LlamaForSequenceClassification),
        ("relation", LlamaForSequenceClassification),
        ("entities", LlamaForTokenClassification),
    ):
        found[service] = tmp_path_factory.mktemp(service)
        kind(config).save_pretrained(found[service])
        tokenizer.save_pretrained(found[service])
    found["chat"] = tmp_path_factory.mktemp("chat")
    LlamaForCausalLM(config).save_pretrained(found["chat"])
    tokenizer.chat_template = "{% for each in messages %}{{ each['content'] + eos_token }}{% endfor %}"
    tokenizer.save_pretrained(found["chat"])
    return found


@pytest.fixture
def log(directories: dict[str, Path]):
    def log(service: str = "classifier") -> str:
        with tracking.open_run("make", experiment="registry", key="make") as run:
            return logged_models.log_model(run.id, directories[service], name="tiny", service=service)

    return log


@pytest.fixture
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.home import tracking_uri

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri())


def test_the_stock_directory_comes_back_by_every_name(log, directories: dict[str, Path], tmp_path: Path) -> None:
    uri = log()
    version = registry.register("named", uri, {"from": "test"})
    assert registry.register("named", uri) == version == "1"
    registry.move_champion("named", version, {}, expected_champion=None)
    for name in (uri, "named@champion", "models:/named@champion", f"models:/named/{version}"):
        assert digest_directory(logged_models.fetch_model(name)) == digest_directory(directories["classifier"])
    assert logged_models.fetch_model(str(tmp_path)) == tmp_path
    assert filing.exists(uri)
    stored = logged_models.stored_at(uri)
    assert stored
    assert digest_directory(stored) == digest_directory(directories["classifier"])
    assert not filing.exists("models:/m-0123456789abcdef0123456789abcdef")
    logged = tracking.client().get_logged_model(uri.removeprefix("models:/"))
    assert str(logged.status) == "READY"
    for wrong, message in (("named@nobody", "no model"), ("nobody@champion", "no model"), ("named", "names no model")):
        with pytest.raises(ValueError, match=message):
            logged_models.fetch_model(wrong)


def test_a_registered_model_needs_nothing_of_ours_and_no_pickle(log, directories: dict[str, Path]) -> None:
    for service in directories:
        location = tracking.client().get_logged_model(log(service).removeprefix("models:/")).artifact_location
        files = filing.local_path(location)
        assert files
        names = [each.name for each in files.rglob("*") if each.is_file()]
        assert not [name for name in names if name.endswith((".pkl", ".pyc"))]
        requirements = (files / "requirements.txt").read_text()
        assert f"torch=={torch.__version__}" in requirements
        sources = [each.read_text() for each in files.rglob("*.py")]
        assert len(sources) >= 3
        assert not [source for source in sources if "lm_modules" in source or "from tasks" in source]


@pytest.mark.usefixtures("no_pickle")
def test_entities_and_relations_are_answered(log, directories: dict[str, Path]) -> None:
    import mlflow
    import pandas

    from lm_modules.serving.entities_service import EntitiesService
    from lm_modules.serving.relation_service import RelationService

    text = "Ada Byron was born in London, and it rained. " * 5
    said = mlflow.pyfunc.load_model(log("entities")).predict([text])
    assert said == EntitiesService(directories["entities"]).predict([text])
    assert {each["type"] for each in json.loads(said[0])} <= {"cat", "dog"}
    model, pair = mlflow.pyfunc.load_model(log("relation")), ["<e1>Ada</e1> was born in <e2>London</e2>."]
    answers = model.predict(pandas.DataFrame({"text": pair}))
    assert answers == RelationService(directories["relation"]).predict(pair)
    assert answers[0]["label"] in ("cat", "dog")


@pytest.mark.usefixtures("no_pickle")
def test_a_chat_model_answers_conversations_like_the_stock_pipeline(log, directories: dict[str, Path]) -> None:
    import mlflow
    import pandas
    from transformers import pipeline

    conversations = [
        [{"role": "user", "content": "hello"}],
        [{"role": "system", "content": "no"}, {"role": "user", "content": "hi"}],
    ]
    model = mlflow.pyfunc.load_model(log("chat"))
    answers = model.predict(pandas.DataFrame({"messages": conversations}), params={"max_new_tokens": 6})
    stock = pipeline("text-generation", model=str(directories["chat"]), device="cpu")
    for messages, answer in zip(conversations, answers, strict=True):
        (expected,) = stock(messages, max_new_tokens=6, do_sample=False)
        assert answer == expected["generated_text"][-1]["content"].strip()


@pytest.mark.usefixtures("no_pickle")
def test_the_classifier_answers_like_the_stock_pipeline(log, directories: dict[str, Path]) -> None:
    import mlflow
    import pandas
    from transformers import pipeline

    texts = ["hello", "a longer text, padded beside the others", "é" * 300]
    model = mlflow.pyfunc.load_model(log("classifier"))
    answers = model.predict(texts)
    assert answers == model.predict(pandas.DataFrame({"text": texts}))
    stock = pipeline("text-classification", model=str(directories["classifier"]), device="cpu")
    for text, answer in zip(texts, answers, strict=True):
        expected = stock(text, truncation=True)[0]
        assert answer["label"] == expected["label"]
        assert answer["probability"] == pytest.approx(expected["score"], abs=1e-5)
    assert 0.5 <= model.predict([""])[0]["probability"] <= 1.0


@pytest.mark.usefixtures("no_pickle")
def test_a_registered_model_answers_questions_as_its_head_does(directories: dict[str, Path], tmp_path: Path) -> None:
    import mlflow
    import pandas
    from transformers import AutoTokenizer

    from lm_modules.data.documents import Example
    from lm_modules.evaluation.predictions import predict_with_directory
    from lm_modules.heads.extractive_qa import ExtractiveQa

    head = ExtractiveQa(overlap_tokens=8, max_answer_tokens=12, no_answer_threshold=None)
    head.network(directories["language_model"], []).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(directories["language_model"]).save_pretrained(tmp_path)
    (tmp_path / "head.json").write_text(head.model_dump_json())
    with tracking.open_run("make", experiment="registry", key="answers") as run:
        uri = logged_models.log_model(run.id, tmp_path, name="answers", service="question_answering")
    rows = [{"question": "who?", "context": f"the {name} did it " * 9} for name in ("fox", "dog")]
    answers = mlflow.pyfunc.load_model(uri).predict(pandas.DataFrame(rows))
    examples = [Example(row["context"], {**row, "answers": []}) for row in rows]
    for answer, expected in zip(answers, predict_with_directory(tmp_path, examples), strict=True):
        assert answer["answer"] == expected.value != ""
        assert answer["probability"] == pytest.approx(expected.probability, abs=1e-6)
    ranked = mlflow.pyfunc.load_model(uri).predict(pandas.DataFrame(rows), params={"n_best": 3})
    for row, first, answer in zip(rows, answers, ranked, strict=True):
        assert {name: answer[name] for name in first} == {name: answer["answers"][0][name] for name in first} == first
        assert len(answer["answers"]) == 3
        assert all(row["context"].startswith(each["answer"], each["start"]) for each in answer["answers"])


@pytest.mark.usefixtures("no_pickle")
def test_the_language_model_continues_prompts_as_generate_does(log, directories: dict[str, Path]) -> None:
    import mlflow

    from lm_modules.serving.generate import generate

    model = mlflow.pyfunc.load_model(log("language_model"))
    settings = {"max_new_tokens": 6, "temperature": 0.7, "seed": 5}
    answers = model.predict(["one", "two"], params=settings)
    assert answers == [generate(directories["language_model"], prompt, **settings) for prompt in ("one", "two")]
    assert answers != model.predict(["one", "two"], params={**settings, "seed": 6})


@pytest.mark.usefixtures("no_pickle")
@pytest.mark.parametrize("save", [save_t5, save_llama])
def test_a_model_that_writes_answers_as_its_head_does(save, tmp_path: Path) -> None:
    import mlflow
    import pandas

    head = Seq2seq(max_new_tokens=12, num_beams=2, prompt="{source}: ")
    base = save(tmp_path / "base")
    network, tokenizer = head.network(base, []), open_tokenizer(base, 40)
    network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "head.json").write_text(head.model_dump_json())
    texts = ["one", "a text that is too long for what is left beside the answer"]
    examples = [Example(text, {"source": text, "target": ""}) for text in texts]
    expected = [each.value for each in predict_with_directory(tmp_path / "model", examples)]
    with tracking.open_run("make", experiment="registry", key="make") as run:
        uri = logged_models.log_model(run.id, tmp_path / "model", name="tiny", service="seq2seq")
    model = mlflow.pyfunc.load_model(uri)
    assert model.predict(texts) == expected
    assert model.predict(pandas.DataFrame({"source": texts}), params={"max_new_tokens": 0}) == expected
    (shorter, _) = model.predict(texts, params={"max_new_tokens": 1})
    assert len(shorter) < len(expected[0])


def test_the_champion_moves_with_its_verdict_and_can_be_rolled_back(log) -> None:
    first, second = (registry.register("moving", log()) for _ in range(2))
    assert registry.champion("moving") is None
    with pytest.raises(ValueError, match="no previous champion"):
        registry.rollback("moving", "too early")
    registry.move_champion("moving", first, {"reason": "better than the baselines"}, expected_champion=None)
    registry.set_challenger("moving", second, "not better", {"low": -0.1})
    challenger = tracking.client().get_model_version_by_alias("moving", "challenger")
    assert str(challenger.version) == second
    assert (challenger.tags["reason"], challenger.tags["low"]) == ("not better", "-0.1")
    with pytest.raises(RuntimeError, match="evaluate it again"):
        registry.move_champion("moving", second, {}, expected_champion=None)
    registry.move_champion("moving", second, {"difference": 0.25, "comparisons": [1, 2]}, expected_champion=first)
    champion = registry.champion("moving")
    assert champion
    assert champion.version == second
    assert json.loads(champion.tags["comparisons"]) == [1, 2]
    previous = registry.previous("moving")
    assert previous
    assert previous.version == first
    assert "challenger" not in tracking.client().get_registered_model("moving").aliases
    registry.move_champion("moving", second, {}, expected_champion=second)
    assert registry.previous("moving") == previous, "promoting the champion again changes nothing"
    assert registry.rollback("moving", "answers nonsense").version == first
    restored = registry.champion("moving")
    assert restored
    assert restored.version == first
    assert registry.previous("moving") is None
    bad = tracking.client().get_model_version("moving", second)
    assert bad.tags["rolled_back_reason"] == "answers nonsense"


def test_unknown_names_and_aliases_are_told_with_those_that_exist(log) -> None:
    registry.move_champion("known", registry.register("known", log()), {}, expected_champion=None)
    registry.require_alias("known@champion")
    registry.require_alias("models:/known@champion")
    registry.require_alias("models:/m-0123456789abcdef")
    with pytest.raises(ValueError, match=r"no model is registered as 'nobody'; known: .*known"):
        registry.rollback("nobody", "x")
    with pytest.raises(ValueError, match="no model is registered as 'knwn'; did you mean 'known'"):
        registry.require_alias("knwn@champion")
    with pytest.raises(ValueError, match="known has no version @previous; known: champion"):
        registry.require_alias("models:/known@previous")


def test_two_promotions_at_once_leave_one_champion(log) -> None:
    first, second, third = (registry.register("contested", log()) for _ in range(3))
    registry.move_champion("contested", first, {})
    both = [
        subprocess.Popen([sys.executable, "-c", PROMOTE, each], stderr=subprocess.PIPE, text=True)
        for each in (second, third)
    ]
    errors = [each.communicate()[1] for each in both]
    assert sorted(each.returncode for each in both) == [0, 1]
    assert [error for error in errors if "evaluate it again" in error]
    winner = (second, third)[[each.returncode for each in both].index(0)]
    champion, previous = registry.champion("contested"), registry.previous("contested")
    assert champion
    assert previous
    assert (champion.version, champion.tags["by"], previous.version) == (winner, winner, first)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pickle")
def test_mlflow_serves_the_champion_over_http(log, tmp_path: Path) -> None:
    import os
    import signal
    import socket
    import time
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    registry.move_champion("served", registry.register("served", log("classifier")), {})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/served@champion", "-h", "127.0.0.1"]
    command += ["-p", str(port), "--env-manager", "local"]
    scripts = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with (tmp_path / "serve.log").open("wb") as said:
        server = subprocess.Popen(command, cwd=tmp_path, env=scripts, stdout=said, stderr=said, start_new_session=True)
    question = Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps({"dataframe_split": {"columns": ["text"], "data": [["hello"], ["bye"]]}}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urlopen(question, timeout=30) as answer:
                    rows = json.load(answer)["predictions"]
                break
            except URLError:
                assert server.poll() is None, (tmp_path / "serve.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert [set(row) for row in rows] == [{"label", "probability"}] * 2
    assert {row["label"] for row in rows} <= {"cat", "dog"}
