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
}
