"""A page that shows which tokens of some conversations are learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from lm_modules.heads import Encoded
from lm_modules.heads._packed_rows import NO_TARGET

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NUM_SHOWN = 20

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>What is learned</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} td {{ padding: .1rem 1.5rem .1rem 0; }}
td + td {{ text-align: right; font-variant-numeric: tabular-nums; }}
section {{ border: 1px solid #8886; border-radius: 6px; padding: .7rem 1rem; margin: 1rem 0; }}
h2 {{ font-size: .85rem; font-weight: 600; opacity: .7; margin: 0 0 .4rem; }}
pre {{ margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.9 ui-monospace, monospace; }}
pre span {{ box-shadow: inset 1px 0 #8884; }}
.learned {{ background: #2e9e5b55; }}
.control {{ font-weight: 700; }}
</style></head><body>
<h1>What is learned</h1>
<p>Tokens on <span class="learned">green</span> are learned: the model reads all that stands before, and each of them is
its target. All others are only read. Control tokens are <b>bold</b>.</p>
<table>{counts}</table>
{shown}
</body></html>
"""


def page_of(encoded: Sequence[Sequence[Encoded]], tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the page about what a head made of each conversation."""
    rows = [each for several in encoded for each in several]
    counts = {
        "conversations": len(encoded),
        "of these shortened": sum(each.is_cut for each in rows),
        "left out, because no answer fits": sum(not several for several in encoded),
        "tokens": sum(len(each.token_ids) for each in rows),
        "tokens that are learned": sum(_num_learned(each) for each in rows),
    }
    return PAGE.format(
        counts="".join(f"<tr><td>{name}</td><td>{number:,}</td></tr>" for name, number in counts.items()),
        shown="\n".join(_section(each, tokenizer) for each in rows[:NUM_SHOWN]),
    )


def _num_learned(encoded: Encoded) -> int:
    return sum(target != NO_TARGET for target in encoded.target)


def _section(encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> str:
    tokens = "".join(
        f'<span class="{"learned" * learned}{" control" * control}">{escape(text)}</span>'
        for text, learned, control in _pieces(encoded, tokenizer)
    )
    shortened = ", shortened" if encoded.is_cut else ""
    title = f"{len(encoded.token_ids)} tokens, {_num_learned(encoded)} learned{shortened}"
    return f"<section><h2>{title}</h2><pre>{tokens}</pre></section>"


def _pieces(encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, bool, bool]]:
    """Yield (text, learned, control) of every token; those that are parts of one character are one piece."""
    control = set(tokenizer.added_tokens_decoder)
    waiting: list[int] = []
    last = len(encoded.token_ids) - 1
    for place, (token, target) in enumerate(zip(encoded.token_ids, encoded.target, strict=True)):
        waiting.append(token)
        text = str(tokenizer.decode(waiting, clean_up_tokenization_spaces=False))
        ends_here = place == last or encoded.token_ids[place + 1] in control
        if text.endswith("\N{REPLACEMENT CHARACTER}") and not ends_here and token not in control:
            continue
        yield text, target != NO_TARGET, token in control
        waiting = []
