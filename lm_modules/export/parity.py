"""Whether a stock model computes what our training graph computes."""

# B rows, L length, S source length, V vocabulary, N tokens written

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Logits = Callable[[Tensor], Tensor]


def random_text(vocab_size: int, rows: int, length: int) -> Tensor:
    """Return [rows, length] tokens, always the same ones."""
    return torch.randint(0, vocab_size, (rows, length), generator=torch.Generator().manual_seed(length))


def largest_difference(so_far: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the larger of a difference found so far and that of two tensors; a NaN stays a NaN."""
    return torch.maximum(so_far, (ours - theirs).abs().max().to(so_far.dtype))


def largest(*differences: float) -> float:
    """Return the largest of some differences; NaN if one of them is."""
    return torch.tensor(differences, dtype=torch.float64).max().item()


def logit_difference(ours: Logits, theirs: Logits, vocab_size: int, lengths: Sequence[int]) -> float:
    """Return the largest absolute difference of logits over random texts of these lengths; NaN if a logit is NaN."""
    largest = torch.zeros(())
    with torch.no_grad():
        for length in lengths:
            tokens_BL = random_text(vocab_size, 2, length)
            largest = largest_difference(largest, ours(tokens_BL), theirs(tokens_BL))
    return largest.item()


def answer_difference(ours: Any, stock: Any, vocab_size: int, lengths: Sequence[int]) -> float:
    """Return the same for an encoder-decoder, the target a little shorter than the source."""
    largest = torch.zeros(())
    with torch.no_grad():
        for length in lengths:
            source_BS, target_BL = (random_text(vocab_size, 2, each) for each in (length, max(2, 2 * length // 3)))
            target_BL[:, 0] = stock.config.decoder_start_token_id
            theirs_BLV = stock(input_ids=source_BS, decoder_input_ids=target_BL).logits
            largest = largest_difference(largest, ours(source_BS, target_BL), theirs_BLV)
    return largest.item()


def padded_difference(ours: Any, stock: Any, vocab_size: int, length: int) -> float:
    """Return the same for an encoder where the second of two rows is half padding, the padding left out."""
    ours_BLV, theirs_BLV, real_BL = _padded_logits(ours, stock, vocab_size, length)
    return largest_difference(torch.zeros(()), ours_BLV[real_BL > 0], theirs_BLV[real_BL > 0]).item()


def padded_answer_difference(ours: Any, stock: Any, vocab_size: int, length: int) -> float:
    """Return the same for a network that gives one answer to a row."""
    ours_BV, theirs_BV, _ = _padded_logits(ours, stock, vocab_size, length)
    return largest_difference(torch.zeros(()), ours_BV, theirs_BV).item()


def _padded_logits(ours: Any, stock: Any, vocab_size: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    tokens_BL = random_text(vocab_size, 2, length)
    real_BL = torch.ones_like(tokens_BL)
    real_BL[1, length // 2 :] = 0
    with torch.no_grad():
        return ours(tokens_BL, real_BL), stock(input_ids=tokens_BL, attention_mask=real_BL).logits, real_BL


def same_greedy_tokens(ours: Logits, stock: Any, prompt_L: Tensor, num_tokens: int, tolerance: float) -> int:
    """Return how many tokens, from the first on, the stock model's cached greedy decoding has in common with ours."""
    with torch.no_grad():
        chosen, cache, step = [], None, prompt_L[None]
        for _ in range(num_tokens):
            answer = stock(input_ids=step, past_key_values=cache, use_cache=True)
            cache, step = answer.past_key_values, answer.logits[:, -1:].argmax(-1)
            chosen.append(step)
        chosen_N = torch.cat(chosen, dim=1)[0]
        text_L = torch.cat((prompt_L, chosen_N))[:-1]
        return _num_same(ours(text_L[None])[0, len(prompt_L) - 1 :], chosen_N, tolerance)


def same_written_tokens(ours: Any, stock: Any, source_BS: Tensor, num_tokens: int, tolerance: float) -> int:
    """Return the same for an encoder-decoder that writes an answer to a source of one row."""
    step = torch.full((1, 1), stock.config.decoder_start_token_id)
    written, cache, memory = [step], None, None
    with torch.no_grad():
        for _ in range(num_tokens):
            answer = stock(
                input_ids=source_BS,
                encoder_outputs=memory,
                decoder_input_ids=written[-1],
                past_key_values=cache,
                use_cache=True,
            )
            cache, memory = answer.past_key_values, (answer.encoder_last_hidden_state,)
            written.append(answer.logits[:, -1:].argmax(-1))
        target_L = torch.cat(written, dim=1)[0]
        return _num_same(ours(source_BS, target_L[None, :-1])[0], target_L[1:], tolerance)


def _num_same(logits_NV: Tensor, chosen_N: Tensor, tolerance: float) -> int:
    """Return how many tokens from the first on are ours.

    A token counts if our logit for it is the largest, or within twice `tolerance` of it: where two logits tie, rounding
    decides.
    """
    own_N = logits_NV.gather(1, chosen_N[:, None])[:, 0]
    same = (logits_NV.max(dim=-1).values - own_N <= 2 * tolerance).tolist()
    return same.index(False) if False in same else len(same)
