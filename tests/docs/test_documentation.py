"""The documents say what is so: their configurations load, their code runs, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from configs.loading import load

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def fenced(language: str) -> list[tuple[str, str]]:
    """Return (where, text) of every block of a language in the documents."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        (f"{path.relative_to(ROOT)}:{index}", text)
        for path in DOCUMENTS
        for index, text in enumerate(pattern.findall(path.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize("text", [text for _, text in fenced("yaml")], ids=[where for where, _ in fenced("yaml")])
def test_a_configuration_in_the_documents_loads(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert load(str(tmp_path / "mine.yaml"), []).name != "pipeline"


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_a_link_of_the_documents_leads_to_a_file(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).exists(), target


def test_every_how_to_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = re.findall(r"\]\(([^)#:]+\.md)\)", page.read_text(encoding="utf-8"))
        waiting += [path for each in targets if (path := (page.parent / each).resolve()) not in reached]
    assert [
        page.name for page in sorted((ROOT / "docs" / "how_to").glob("*.md")) if page.resolve() not in reached
    ] == []


def test_the_filter_with_languages_of_the_how_to_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_modules.data.documents import Document

    [text] = [text for _, text in fenced("python") if "class NumberLines" in text]
    (tmp_path / "number_lines_of_the_how_to.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    number_lines = import_module("number_lines_of_the_how_to").NumberLines()
    table, chinese = (Document("1", "Year\n1999 2000\n12 13", "test", language=code) for code in (None, "zh"))
    assert number_lines.reason_to_drop(table) == "more than 0.3 of the lines are mostly digits"
    assert number_lines.reason_to_drop(chinese) is None


def test_the_filter_of_the_how_to_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_modules.data.documents import Document

    [text] = [text for _, text in fenced("python") if "class Shouting" in text]
    (tmp_path / "shouting_of_the_how_to.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    shouting = import_module("shouting_of_the_how_to").Shouting(max_capitals_fraction=0.3)
    quiet, loud = (Document(id=text, text=text, source="test") for text in ("A quiet line.", "LOUD LINE"))
    assert shouting.reason_to_drop(quiet) is None
    assert shouting.reason_to_drop(loud) == "more than 0.3 of the letters are capitals"


def test_the_head_of_the_how_to_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from tiny_models import save_bert

    from lm_modules.model.stock import open_tokenizer

    [text] = [text for _, text in fenced("python") if "class OrdinalClassification" in text]
    (tmp_path / "ordinal_of_the_how_to.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    head = import_module("ordinal_of_the_how_to").OrdinalClassification(order=("bad", "fair", "good"))
    with pytest.raises(ValueError, match="label 'grand' is none of bad, fair, good"):
        head.checked({"text": "a red cat", "label": "grand"})
    base, names = save_bert(tmp_path / "base"), ["bad", "fair", "good"]
    tokenizer, network = open_tokenizer(base, 64), head.network(base, names)
    fields = head.checked({"text": "a red cat", "label": "good"})
    batch = head.collate(head.encode(fields, tokenizer, names), tokenizer.pad_token_id)
    [answer] = head.predict(network.eval(), batch)
    assert answer.loss == pytest.approx(head.loss(network, batch).item(), rel=1e-5)
    one_by_one = head.row_losses(torch.eye(3) * 4, torch.tensor([2, 2, 2]), names)
    bad, fair, good = one_by_one.tolist()
    assert good < fair < bad


ORDINAL = """
EXAMPLES["ordinal_classification"] = [
    {"text": "a red cat", "label": "good"},
    {"text": "one and two", "label": "fair"},
    {"text": "the grey", "label": "bad"},
]
SETTINGS["ordinal_classification"] = {"order": ["bad", "fair", "good"]}
"""
ON_ITS_CARD = 'ON_CARDS.append(("ordinal_classification", {"order": ["x", "y"]}, ON_CARDS[0][2]))\n'
LIBRARIES_UNREAD = """
[[tool.mypy.overrides]]
module = ["torch.*", "transformers.*"]
follow_imports = "skip"
"""


def test_the_head_of_the_how_to_keeps_to_what_heads_must(tmp_path: Path) -> None:
    """Do what the page says in a copy of the code, and run there what it says is run."""
    for name in ("configs", "lm_modules", "tests/support", "tests/contracts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(settings + LIBRARIES_UNREAD, encoding="utf-8")
    [head] = [text for _, text in fenced("python") if "class OrdinalClassification" in text]
    (tmp_path / "lm_modules" / "heads" / "ordinal_classification.py").write_text(head, encoding="utf-8")
    with (tmp_path / "tests" / "support" / "head_examples.py").open("a", encoding="utf-8") as file:
        file.write(ORDINAL)
    contract = tmp_path / "tests" / "contracts" / "test_heads_contract.py"
    asked = contract.read_text(encoding="utf-8")
    contract.write_text(asked.replace("SAVE_FOR_CARDS:", ON_ITS_CARD + "SAVE_FOR_CARDS:"), encoding="utf-8")

    def run(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
        )
        assert done.returncode == 0, done.stdout.decode()

    run("mypy", "lm_modules/heads/ordinal_classification.py")
    run("pytest", "-q", "-p", "no:cacheprovider", str(contract), "-k", "ordinal_classification")
