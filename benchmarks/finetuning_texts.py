"""What the benchmarks of texts for texts have in common: a tiny T5, and what is written for the `Seq2SeqTrainer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from finetuning_beside_trainer import Contest, Pieces


def save_encoder_decoder(directory: Path, texts: Iterable[str], *, vocab_size: int = 2000, width: int = 128) -> Path:
    """Save a T5 of two blocks each with random weights (the same ones every time), and a byte-level BPE of texts."""
    import torch
    from tokenizers import ByteLevelBPETokenizer, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    from lm_modules.model.stock import quiet_loading

    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(
        texts, vocab_size, min_frequency=2, show_progress=False, special_tokens=["<pad>", "</s>"]
    )
    pieces._tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", pieces.token_to_id("</s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, pad_token="<pad>", eos_token="</s>")
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=32,
        d_ff=4 * width,
        num_layers=2,
        num_heads=width // 32,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with quiet_loading():
        T5ForConditionalGeneration(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def pieces(contest: Contest, splits: Mapping[str, list[dict[str, Any]]]) -> Pieces:
    """Return what a user of the `Seq2SeqTrainer` writes, as in run_translation.py of `transformers`."""
    import numpy as np
    from datasets import Dataset
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU, CHRF
    from transformers import (
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
    )

    longest = contest.head["max_new_tokens"]
    tokenizer = AutoTokenizer.from_pretrained(contest.base)
    model = AutoModelForSeq2SeqLM.from_pretrained(contest.base, dropout_rate=contest.dropout)

    def encoded(rows: dict[str, Any]) -> Any:
        found = tokenizer(rows["source"], truncation=True, max_length=contest.context_length - longest)
        targets = tokenizer(text_target=rows["target"], truncation=True, max_length=longest)
        return {
            "input_ids": found["input_ids"],
            "attention_mask": found["attention_mask"],
            "labels": targets["input_ids"],
        }

    def compute_metrics(answers: Any) -> dict[str, float]:
        written, asked = (
            tokenizer.batch_decode(np.where(each == -100, tokenizer.pad_token_id, each), skip_special_tokens=True)
            for each in (answers.predictions, answers.label_ids)
        )
        written = [each.strip() for each in written]
        scorer = RougeScorer(["rougeL"])
        pairs = zip(asked, written, strict=True)
        return {
            "chrf": CHRF().corpus_score(written, [asked]).score,
            "bleu": BLEU().corpus_score(written, [asked]).score,
            "rouge_l": float(np.mean([scorer.score(*pair)["rougeL"].fmeasure for pair in pairs])),
        }

    return Pieces(
        model=model,
        tokenizer=tokenizer,
        datasets={
            split: Dataset.from_list([{key: row[key] for key in ("source", "target")} for row in rows]).map(
                encoded, batched=True, remove_columns=["source", "target"]
            )
            for split, rows in splits.items()
        },
        collator=DataCollatorForSeq2Seq(tokenizer, model=model, pad_to_multiple_of=8),
        compute_metrics=compute_metrics,
        trainer=Seq2SeqTrainer,
        arguments={
            "class": Seq2SeqTrainingArguments,
            "predict_with_generate": True,
            "generation_max_length": longest + 1,  # with the token that starts an answer
            "generation_num_beams": contest.head["num_beams"],
        },
    )
