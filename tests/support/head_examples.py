"""Three examples for every head, as a user's file may hold them; a contract test runs over each."""

from __future__ import annotations

from typing import Any

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "sequence_classification": [
        {"text": "a red cat", "label": "animal"},
        {"text": "one and two", "label": "number"},
        {"text": "the grey", "label": "colour"},
    ],
    "pair_classification": [
        {"text": "a red cat", "text_pair": "a cat", "label": "follows"},
        {"text": "a red cat", "text_pair": "a blue cat", "label": "contradicts"},
        {"text": "one cat", "text_pair": "it rains", "label": "neither"},
    ],
    "token_classification": [
        {"words": ["Ada", "Byron", "met", "me"], "tags": ["B-person", "I-person", "O", "O"]},
        {"words": ["in", "Rome"], "tags": ["O", "B-place"]},
        {"words": ["Bo", "met", "Ada"], "tags": ["B-person", "O", "B-person"]},
    ],
    "relation_extraction": [
        {"text": "<e1>rain</e1> brings <e2>flood</e2>", "label": "Cause-Effect(e1,e2)"},
        {"text": "flood from rain", "head": [0, 5], "tail": [11, 15], "label": "Cause-Effect(e2,e1)"},
        {"text": "<e1>rain</e1> and <e2>wind</e2>", "label": "Other"},
    ],
    "regression": [
        {"text": "a red cat", "score": 101.5},
        {"text": "one and two", "text_pair": "three", "score": "98"},
        {"text": "the grey", "score": 96},
    ],
    "extractive_qa": [
        {"question": "who?", "context": "a red cat runs", "answers": [{"text": "cat", "start": 6}]},
        {"question": "what colour?", "context": "a blue dog", "answers": {"text": ["blue"], "answer_start": [2]}},
        {"question": "where?", "context": "it rains", "answers": []},
    ],
    "chat": [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a cat"}]},
        {"messages": [{"from": "human", "value": "two"}, {"from": "gpt", "value": "dogs"}]},
        {
            "messages": [
                {"role": "system", "content": "Sum"},
                {"role": "user", "content": "1+1"},
                {"role": "assistant", "content": "2"},
                {"role": "user", "content": "2+2"},
                {"role": "assistant", "content": "4"},
            ]
        },
    ],
    "preference": [
        {"prompt": "Hi", "chosen": "a cat", "rejected": "no dog"},
        {"prompt": [{"from": "human", "value": "two"}], "chosen": "cats", "rejected": "dog"},
        {"prompt": "1+1", "chosen": [{"role": "assistant", "content": "2"}], "rejected": "4"},
    ],
    "seq2seq": [
        {"source": "a red cat", "target": "gato rojo"},
        {"source": "two dogs", "target": "dos perros"},
        {"source": "it rains", "target": "llueve"},
    ],
}

SETTINGS: dict[str, dict[str, Any]] = {"seq2seq": {"max_new_tokens": 12}}
"""Settings that fit rows of 16 tokens, for heads whose defaults do not."""
