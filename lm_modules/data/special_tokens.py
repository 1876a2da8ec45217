"""What the special tokens of any tokenizer are for: ours by their names, others by roles that their directory tells.

role            ours              elsewhere
end of text     <|endoftext|>     eos_token, else sep_token (BERT)
padding         <|pad|>           pad_token
mask            <|mask|>          mask_token
separator       <|separator|>     sep_token
spans           <|sentinel_0|>    <extra_id_0> (T5)
fill the middle <|fill_prefix|>   <|fim_prefix|> and the like (Bavarian et al. 2022 and the code models after it)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lm_modules.data.tokenizers import (
    END_OF_TEXT,
    FILL_MIDDLE,
    FILL_PREFIX,
    FILL_SUFFIX,
    MASK,
    PAD,
    SEPARATOR,
    sentinel,
)

ROLES_FILE = "special_roles.json"
"""What `transformers` says of the roles, beside a tokenizer that was taken over: some are told by its class alone."""
ROLES = {
    END_OF_TEXT: ("eos_token", "sep_token"),
    PAD: ("pad_token",),
    MASK: ("mask_token",),
    SEPARATOR: ("sep_token",),
}
FILL = {
    FILL_PREFIX: ("<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>"),
    FILL_SUFFIX: ("<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>"),
    FILL_MIDDLE: ("<|fim_middle|>", "<fim_middle>", "<fim-middle>"),
}


def special_tokens(tokenizer: Path) -> tuple[tuple[str, int], ...]:
    """Return name and id of every special token of a tokenizer directory.

    A token that has one of the roles above is listed under our name for it, too, unless that name is taken.
    """
    added = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    ids = {each["content"]: each["id"] for each in added}
    special = {each["content"]: each["id"] for each in added if each["special"]}
    roles = roles_of(tokenizer)
    for own, names in ROLES.items():
        token = next((roles[name] for name in names if roles.get(name) in ids), None)
        if token is not None:
            special.setdefault(own, ids[token])
    for own, names in FILL.items():
        token = next((name for name in names if name in ids), None)
        if token is not None:
            special.setdefault(own, ids[token])
    number = 0
    while (token := f"<extra_id_{number}>") in ids:
        special.setdefault(sentinel(number), ids[token])
        number += 1
    return tuple(special.items())


def end_of_text_id(tokenizer: Path) -> int:
    """Return the id of the token that ends a document; a tokenizer without one is a ValueError."""
    special = dict(special_tokens(tokenizer))
    if END_OF_TEXT not in special:
        raise ValueError(
            f"the tokenizer in {tokenizer} has no {END_OF_TEXT} token, nor an eos_token or sep_token; take one that has"
        )
    return special[END_OF_TEXT]


def roles_of(tokenizer: Path) -> dict[str, str]:
    """Return the token of each role ("eos_token"), from the files that tell them; the first one counts."""
    roles: dict[str, str] = {}
    for name in (ROLES_FILE, "tokenizer_config.json", "special_tokens_map.json"):
        path = tokenizer / name
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for role, token in content.items():
            if role.endswith("_token") and token:
                roles.setdefault(role, token["content"] if isinstance(token, dict) else str(token))
    return roles
