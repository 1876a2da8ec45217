"""What every member of the families of data preparation must do, run over the files in their folders."""

from __future__ import annotations

import pickle

import pytest

from configs.component import Component, members
from lm_modules.data.documents import Document

NEEDED = {
    "text_files": {"path": "texts"},
    "jsonl": {"path": "texts.jsonl"},
    "csv": {"path": "texts.csv"},
    "parquet": {"path": "texts.parquet"},
    "hugging_face": {"dataset": "texts"},
    "text_lines": {"files": {"good": "good.txt", "bad": "bad.txt"}},
}
TEXTS = {
    "empty": "",
    "one word": "word",
    "blank lines": "\n\n \t\n",
    "prose": "The quick brown fox jumps over the lazy dog.\n\nIt does so every day, and nobody minds.\n",
    "code": "def f(x):\r\n\treturn  x ** 2  # square\r\n" * 30,
    "accents": "cafÃ© naïve e\u0301\u00a0—\u2028œuvre",
    "control": "a\x00b\x0cc\u200bd\ufeffe\x1b[0m",
    "scripts": "日本語のテキスト العربية हिन्दी 한국어 ไทย עברית",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 50,
    "surrogate": "half a pair \ud83d here",
    "huge": "word and another word, then 12345 numbers\n" * 5000,
}


def all_members(family: str) -> list:
    kinds = members(f"lm_modules.data.{family}")
    return [
        pytest.param(cls.model_validate({"kind": kind, **NEEDED.get(kind, {})}), id=kind) for kind, cls in kinds.items()
    ]


FAMILIES = ("sources", "cleaners", "filters", "deduplication", "tokenizers", "labelled")


@pytest.mark.parametrize("member", [each for family in FAMILIES for each in all_members(family)])
def test_member_survives_json_and_pickle_and_explains_itself(member: Component) -> None:
    assert type(member).model_validate_json(member.model_dump_json()) == member
    assert pickle.loads(pickle.dumps(member)) == member
    assert type(member).__doc__
    assert all(field.description for name, field in type(member).model_fields.items() if name != "kind")


@pytest.mark.parametrize("member", all_members("sources") + all_members("labelled"))
def test_check_refuses_inputs_that_are_not_there(member, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if member.kind in NEEDED:
        with pytest.raises(ValueError, match=r"texts|good\.txt|bad\.txt"):
            member.check()
    else:
        member.check()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("cleaner", all_members("cleaners"))
def test_cleaner_run_twice_changes_nothing_the_second_time(cleaner, text: str) -> None:
    cleaned = cleaner.clean(text)
    assert cleaner.clean(cleaned) == cleaned
    cleaned.encode()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("each", all_members("filters"))
def test_filter_gives_the_same_verdict_twice(each, text: str) -> None:
    document = Document("1", text, "source")
    assert each.reason_to_drop(document) == each.reason_to_drop(document)
    assert document == Document("1", text, "source")


@pytest.mark.parametrize("each", all_members("deduplication"))
def test_equal_texts_have_equal_keys_and_different_ones_do_not(each) -> None:
    keys = {name: each.key(text) for name, text in TEXTS.items() if text.strip()}
    assert len(set(keys.values())) == len(keys)
    assert keys == {name: each.key(text) for name, text in TEXTS.items() if text.strip()}


@pytest.mark.parametrize("member", all_members("tokenizers"))
def test_tokenizer_gives_every_text_back(member) -> None:
    if member.kind == "pretrained":  # somebody else's, which may change a text
        with pytest.raises(ValueError, match="taken over, not trained"):
            member.train(iter([]))
        return
    tokenizer = member.train(iter([TEXTS["prose"], TEXTS["code"]] * 3))
    tokenizer.encode_special_tokens = True
    for name, text in TEXTS.items():
        if name != "surrogate":
            text = f"{text} <|endoftext|> {text[:100]}"
            ids = tokenizer.encode(text).ids
            assert tokenizer.decode(ids, skip_special_tokens=True) == text, name
