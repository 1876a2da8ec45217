"""What every member of the families of data preparation must do, run over the files in their folders."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import asdict
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch
from source_inputs import MAKERS

from configs.component import Component, members
from lm_modules.data.documents import Document, encodable
from lm_modules.data.inputs.parts import Part
from lm_modules.data.labelled import Labelled

NEEDED = {
    "text_files": {"path": "texts"},
    "jsonl": {"path": "texts.jsonl"},
    "csv": {"path": "texts.csv"},
    "conll": {"path": "texts.conll"},
    "arrow": {"path": "texts.arrow"},
    "markdown": {"path": "texts"},
    "html": {"path": "texts"},
    "warc": {"path": "texts.warc"},
    "code": {"path": "texts"},
    "parquet": {"path": "texts.parquet"},
    "hugging_face": {"dataset": "texts"},
    "squad": {"path": "texts.json"},
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


READERS = ("sources", "labelled")
"""The families whose members may need a path; a filter may have the name of a source."""


def all_members(family: str) -> list:
    kinds = members(f"lm_modules.data.{family}")
    needed = NEEDED if family in READERS else {}
    return [
        pytest.param(cls.model_validate({"kind": kind, **needed.get(kind, {})}), id=kind) for kind, cls in kinds.items()
    ]


FAMILIES = ("sources", "cleaners", "filters", "deduplication", "tokenizers", "packing", "labelled")


@pytest.mark.parametrize("member", [each for family in FAMILIES for each in all_members(family)])
def test_member_survives_json_and_pickle_and_explains_itself(member: Component) -> None:
    assert type(member).model_validate_json(member.model_dump_json()) == member
    assert pickle.loads(pickle.dumps(member)) == member
    assert type(member).__doc__
    assert all(field.description for name, field in type(member).model_fields.items() if name != "kind")


@pytest.mark.parametrize("member", all_members("sources") + all_members("labelled"))
def test_check_refuses_inputs_that_are_not_there(member, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = partial(member.check, ("text", "label")) if isinstance(member, Labelled) else member.check
    monkeypatch.chdir(tmp_path)
    if member.kind in NEEDED:
        with pytest.raises(ValueError, match=r"texts|good\.txt|bad\.txt"):
            check()
    else:
        check()


@pytest.mark.parametrize("kind", members("lm_modules.data.sources"))
def test_parts_of_a_source_give_its_documents_in_any_order_and_process(kind: str, tmp_path) -> None:
    cls = members("lm_modules.data.sources")[kind]
    source = cls.model_validate({"kind": kind, "language": "en", **MAKERS[kind](tmp_path)})
    whole = list(source.documents())
    assert len([each for each in whole if isinstance(each, Document)]) > 1
    assert all(each.language == "en" for each in whole if isinstance(each, Document))
    assert {each.source for each in whole} <= {*source.names(), source.kind}
    for part_bytes in (1, 700, 5_000, 40_000, sys.maxsize):
        parts = source.parts(part_bytes)
        # another process has a source from JSON, a part from JSON or a pickle, and nothing else
        sent = [Part.from_dict(json.loads(json.dumps(asdict(part)))) for part in parts]
        assert sent == pickle.loads(pickle.dumps(parts)) == parts
        found = [list(cls.model_validate_json(source.model_dump_json()).documents(part)) for part in reversed(sent)]
        assert [each for documents in reversed(found) for each in documents] == whole


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("cleaner", all_members("cleaners"))
def test_cleaner_run_twice_changes_nothing_the_second_time(cleaner, text: str) -> None:
    cleaned = cleaner.clean(text)
    assert cleaner.clean(cleaned) == cleaned
    if encodable(text) == text:  # what reads a source sees to that
        cleaned.encode()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("each", all_members("filters"))
def test_filter_gives_the_same_verdict_twice(each, text: str) -> None:
    document = Document("1", text, "source")
    assert each.reason_to_drop(document) == each.reason_to_drop(document)
    assert document == Document("1", text, "source")


COPIED_DOCUMENTS, COPIED_PASSAGES = (
    [each for each in all_members("deduplication") if each.values[0].copies == copies]
    for copies in ("documents", "passages")
)


@pytest.mark.parametrize("each", COPIED_DOCUMENTS)
def test_equal_texts_have_equal_sketches_and_different_ones_are_not_alike(each) -> None:
    texts = [text for text in TEXTS.values() if text.strip()]
    sketches = np.stack([each.sketch(text) for text in texts])
    assert (sketches == np.stack([each.sketch(text) for text in texts])).all()
    keys = each.band_keys(sketches)
    assert (keys.dtype, keys.shape[0]) == (np.uint64, len(texts))
    assert (keys[:3] == each.band_keys(sketches[:3])).all()
    assert each.alike(sketches, sketches).all()
    for one, other in combinations(range(len(texts)), 2):
        shared = (keys[one] == keys[other]).any()
        assert not (shared and each.alike(sketches[[one]], sketches[[other]])[0])


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("each", COPIED_PASSAGES)
def test_passages_lie_in_their_text_and_equal_ones_have_equal_keys(each, text: str) -> None:
    starts, ends, keys = each.passages(text)
    assert (starts.dtype, ends.dtype, keys.dtype) == (np.int64, np.int64, np.uint64)
    assert len(starts) == len(ends) == len(keys)
    assert (starts >= 0).all()
    assert (starts < ends).all()
    assert (ends <= len(text)).all()
    texts_of = {}
    for start, end, key in zip(starts.tolist(), ends.tolist(), keys.tolist(), strict=True):
        texts_of.setdefault(key, set()).add(" ".join(text[start:end].split()))
    assert all(len(found) == 1 for found in texts_of.values())
    assert each.without(text, np.zeros(len(keys), bool)) == text
    assert len(each.without(text, np.ones(len(keys), bool))) == len(text) - len(
        {place for start, end in zip(starts, ends, strict=True) for place in range(start, end)}
    )


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


@pytest.mark.parametrize("capacity", [1, 7, 64])
@pytest.mark.parametrize("member", all_members("packing"))
def test_packing_places_every_token_once_and_no_row_is_too_long(member, capacity: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 3 * capacity, 200)
    ends = np.cumsum(lengths)
    plan = member.plan(ends - lengths, ends, capacity)
    if plan is None:  # one stream, of which nothing is left out
        return
    places = [np.arange(start, start + length) for start, length in zip(plan.starts, plan.lengths, strict=True)]
    assert np.sort(np.concatenate(places)).tolist() == list(range(ends[-1]))
    used = np.add.reduceat(plan.lengths, plan.rows[:-1])
    assert plan.rows[-1] == len(plan.starts)
    assert 0 < used.min() <= used.max() <= capacity
    assert plan.num_cut == (lengths > capacity).sum()
    again = member.plan(ends - lengths, ends, capacity)
    assert np.array_equal(again.starts, plan.starts)
    assert np.array_equal(again.rows, plan.rows)


@pytest.mark.parametrize("member", [each for each in all_members("tokenizers") if each.id != "pretrained"])
def test_tokenizer_has_the_special_tokens_first_and_a_vocabulary_of_64s(member) -> None:
    from lm_modules.data.tokenizers import SPECIAL, sentinel

    member = member.model_copy(update={"sentinels": 3})
    tokenizer = member.train(iter([TEXTS["prose"], TEXTS["code"], TEXTS["scripts"]]))
    assert tokenizer.get_vocab_size() == member.vocabulary_size
    assert member.vocabulary_size % 64 == 0
    assert sorted(tokenizer.get_vocab().values()) == list(range(member.vocabulary_size))
    assert [tokenizer.token_to_id(name) for name in SPECIAL] == list(range(len(SPECIAL)))
    assert all(tokenizer.token_to_id(sentinel(number)) is not None for number in range(3))


@pytest.mark.parametrize("member", [each for each in all_members("tokenizers") if each.id != "pretrained"])
def test_words_are_told_from_the_tokens(member) -> None:
    import json

    from lm_modules.data.words import first_of_word, word_parts

    text = "Reading the tokenizer's file42, twice"
    tokenizer = member.train(iter([TEXTS["prose"], TEXTS["code"]]))
    content = json.loads(tokenizer.to_str())
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    first = first_of_word(torch.tensor([ids]), word_parts(content, tokenizer.get_vocab_size()))[0].tolist()
    groups: dict[int, list[int]] = {}
    for place, begin in enumerate(first):
        groups.setdefault(begin, []).append(ids[place])
    words = [tokenizer.decode(each).strip() for each in groups.values()]
    assert {"Reading", "the", "file42", "twice"} <= set(words)
