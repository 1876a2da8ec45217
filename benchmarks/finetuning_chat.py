"""Conversations of the Self-Instruct seed tasks (Wang et al. 2022): Rootstock beside the `transformers` Trainer.

    python benchmarks/finetuning_chat.py FOLDER_OF_THE_SET

Both learn the same tokens: those that the assistant says, by the chat template of the base, which marks them. The
Trainer's side is what its users write: `apply_chat_template(return_assistant_tokens_mask=True)`, targets of -100
elsewhere, `DataCollatorForSeq2Seq`. First is printed how much of the batches is padding, packed and not.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from finetuning_beside_trainer import Contest, Pieces, parser, show
from tiny_bases import write_labelled

logger = logging.getLogger("finetuning_chat")

FILES = ("seed_tasks.jsonl", "user_oriented_instructions.jsonl")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}"
    "{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_TARGET = -100


def conversations(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the tasks as conversations of one question, a tenth of them each for validation and test."""
    rows = []
    for name in FILES:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            task = json.loads(line)
            for instance in task["instances"]:
                asked = "\n\n".join(each for each in (task["instruction"], instance["input"]) if each.strip())
                if instance["output"].strip():
                    said = {"role": "assistant", "content": instance["output"]}
                    rows.append({"messages": [{"role": "user", "content": asked}, said]})
    random.Random(0).shuffle(rows)
    tenth = len(rows) // 10
    return {"test": rows[:tenth], "validation": rows[tenth : 2 * tenth], "train": rows[2 * tenth :]}


def save_decoder(directory: Path, texts: Iterable[str], *, vocab_size: int = 2000, width: int = 128) -> Path:
    """Save a Llama of two blocks with random weights (the same every time), and a tokenizer of texts that can chat."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from lm_modules.model.stock import quiet_loading

    pieces = ByteLevelBPETokenizer()
    special = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
    pieces.train_from_iterator(texts, vocab_size=vocab_size, special_tokens=special, show_progress=False)
    directory.mkdir(parents=True)
    pieces.save(str(directory / "pieces.json"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(directory / "pieces.json"), eos_token="<|im_end|>", pad_token="<|pad|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=2,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 32,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with quiet_loading():
        LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def pieces_for_the_trainer(contest: Contest, splits: Mapping[str, list[dict[str, Any]]]) -> Pieces:
    """Return what users of the Trainer write for conversations."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq

    tokenizer = AutoTokenizer.from_pretrained(contest.base)

    def encode(row: dict[str, Any]) -> dict[str, Any]:
        found = tokenizer.apply_chat_template(
            row["messages"],
            return_dict=True,
            return_assistant_tokens_mask=True,
            truncation=True,
            max_length=contest.context_length,
        )
        said = zip(found["input_ids"], found["assistant_masks"], strict=True)
        return {"input_ids": found["input_ids"], "labels": [token if mask else NO_TARGET for token, mask in said]}

    encoded = {}
    for split, rows in splits.items():
        whole = Dataset.from_list([{"messages": row["messages"]} for row in rows]).map(encode)
        encoded[split] = whole.filter(_has_targets).remove_columns("messages")
    model = AutoModelForCausalLM.from_pretrained(contest.base)
    collator = DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8)
    return Pieces(
        model, tokenizer, encoded, collator, _nats_per_token, _trainer_class(), arguments={"greater_is_better": False}
    )


def _has_targets(row: dict[str, Any]) -> bool:
    return any(each != NO_TARGET for each in row["labels"])


def _trainer_class() -> Any:
    from transformers import Trainer

    class OfLikelihoods(Trainer):
        """Keeps of the logits the log-probability of each target: all of them would not fit into memory."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(preprocess_logits_for_metrics=_likelihoods, **arguments)

    return OfLikelihoods


def _likelihoods(logits_BLV: Any, targets_BL: Any) -> Any:
    import torch

    following_BL = torch.nn.functional.pad(targets_BL[:, 1:], (0, 1), value=NO_TARGET)
    found_BL = logits_BLV.float().log_softmax(-1).gather(-1, following_BL.clamp(min=0)[..., None])[..., 0]
    return torch.where(following_BL == NO_TARGET, 0.0, found_BL)


def _nats_per_token(found: Any) -> dict[str, float]:
    likelihoods_BL, targets_BL = found
    return {
        "nats_per_token": float(-likelihoods_BL[likelihoods_BL != NO_TARGET].sum() / (targets_BL[:, 1:] >= 0).sum())
    }


def tell_padding(contest: Contest) -> None:
    """Print which part of an epoch's batches is padding."""
    from lm_modules.data.labelled_examples import read_examples
    from lm_modules.data.length_grouping import LengthGroupedBatches
    from lm_modules.heads.chat import Chat
    from lm_modules.model.stock import open_tokenizer

    head, tokenizer = Chat(), open_tokenizer(contest.base, contest.context_length)
    rows = [
        each for row in read_examples(contest.data, "train") for each in head.encode(dict(row.fields), tokenizer, [])
    ]
    grouped = LengthGroupedBatches([len(each) for each in rows], contest.batch_examples, seed=0)
    order = random.Random(0).sample(range(len(rows)), len(rows))
    shuffled = [order[start : start + contest.batch_examples] for start in range(0, len(rows), contest.batch_examples)]
    batches = {"shuffled": shuffled, "of similar lengths": [grouped[step] for step in range(grouped.steps_per_epoch)]}
    num_tokens = sum(len(each.token_ids) for each in rows)
    for name, places in batches.items():
        for packing in (False, True):
            member = Chat(packing=packing)
            shapes = [tuple(member.collate([rows[place] for place in batch], 0)["input_ids"].shape) for batch in places]
            cells = sum(count * length for count, length in shapes)
            reads = sum(count * length**2 for count, length in shapes)
            logger.info(
                "%-18s %-10s %5.1f %% padding, %4d rows, %.2e pairs of attention",
                name,
                "packed" if packing else "not packed",
                100 * (1 - num_tokens / cells),
                sum(count for count, _ in shapes),
                reads,
            )


def main(options: argparse.Namespace) -> None:
    """Prepare the set and the base, and let both compete."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    splits = conversations(options.data)
    if options.examples:
        splits["train"] = splits["train"][: options.examples]
    with tempfile.TemporaryDirectory() as folder:
        texts = [each["content"] for row in splits["train"] for each in row["messages"]]
        contest = Contest(
            head={"kind": "chat"},
            base=save_decoder(Path(folder) / "base", texts),
            data=write_labelled(Path(folder) / "data", "chat", splits),
            pieces=pieces_for_the_trainer,
            epochs=options.epochs or 6,
            batch_examples=16,
            context_length=256,
            dropout=0.0,
        )
        tell_padding(contest)
        show(contest, options, Path(folder))


if __name__ == "__main__":
    main(parser(__doc__).parse_args())
