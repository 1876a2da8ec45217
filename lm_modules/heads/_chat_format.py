"""Conversations as tokens, in the words of the model's own chat template, and which of them the assistant said.

    <|im_start|>user Hello<|im_end|><|im_start|>assistant Good morning.<|im_end|>
                                                          ^^^^^^^^^^^^^^^^^^^^^^^   the answer and the end of its turn

The tokens are those of `tokenizer.apply_chat_template(messages, sanitize_control_tokens=True)`: what looks like a
control token in a message stays text, so that nobody ends a turn by writing so.

Where the answers stand is told by the template, if it marks them with `{% generation %}`. Of another, the beginnings
of the conversation are rendered, before and after each answer; each must be the beginning of the next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from lm_modules.heads._conversations import Message
from lm_modules.heads._marked_text import Span, any_of, marked, tokens_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PLAIN = """\
{{- bos_token }}
{%- for message in messages %}
    {{- message['role'] | capitalize + ':\\n' }}
    {%- if message['role'] == 'assistant' %}
        {%- generation %}{{- message['content'] | trim + eos_token }}{%- endgeneration %}
    {%- else %}
        {{- message['content'] | trim + eos_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'Assistant:\\n' }}{%- endif %}
"""
"""The format of models that have none: the role, a line end, the text, the end-of-text token.

No token is new. A line end follows the role, because a space would become part of the answer's first word.
"""

MARKS_ANSWERS = re.compile(r"\{%-?\s*generation\s*-?%\}")


class Rendered(NamedTuple):
    """A conversation in tokens."""

    token_ids: list[int]
    is_answer: list[bool]
    """Of each token, whether the assistant said it."""


def with_chat_template(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Give a tokenizer the plain template if it has none, and let it read what templates write as control tokens."""
    tokenizer.chat_template = _template_of(tokenizer)
    tokenizer.split_special_tokens = False
    return tokenizer


def format_of(tokenizer: PreTrainedTokenizerBase) -> ChatFormat:
    """Return the format of a tokenizer's conversations, made once for each template."""
    return _format_of(tokenizer, _template_of(tokenizer))


def _template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    if tokenizer.chat_template:
        return str(tokenizer.get_chat_template())
    if tokenizer.eos_token is None:
        raise ValueError(
            "the tokenizer of the base has neither a chat template nor an end-of-text token to end a turn with; "
            "set its chat_template or its eos_token"
        )
    return PLAIN


@lru_cache(maxsize=4)
def _format_of(tokenizer: PreTrainedTokenizerBase, template: str) -> ChatFormat:
    return ChatFormat(tokenizer, template)


class ChatFormat:
    """How a tokenizer writes conversations."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str) -> None:
        if not tokenizer.is_fast:
            raise ValueError(
                f"{type(tokenizer).__name__} does not tell where its tokens stand in a text, by which the assistant's "
                "are found; choose a base with a tokenizer.json"
            )
        self.tokenizer, self.template = tokenizer, template
        added = tokenizer.added_tokens_decoder.values()
        written = {each.content for each in added if each.content in template and not each.content.isspace()}
        special = {each.content for each in added if each.special}
        self.special, self.control = any_of(special), any_of(special | written)

    def rendered(self, messages: Sequence[Message]) -> Rendered:
        """Return the tokens of a conversation."""
        text, answers = self._text_and_answers([self._marked(each) for each in messages])
        token_ids, places = tokens_of(text, self.tokenizer)
        is_answer = [any(begin < last and first < end for first, last in answers) for begin, end in places]
        return Rendered(token_ids, is_answer)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens after which the assistant is to answer."""
        return tokens_of(self._text([self._marked(each) for each in messages], to_be_answered=True), self.tokenizer)[0]

    def end_of_turn(self) -> int:
        """Return the token that ends an answer."""
        found = self.rendered([{"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}])
        return [token for token, is_answer in zip(*found, strict=True) if is_answer][-1]

    def _marked(self, message: Message) -> Message:
        """Return a message in which everything that is not to be read as a control token is marked.

        Tokens without special meaning that a template writes, as `<think>`, are the assistant's to say.
        """
        pattern = self.special if message["role"] == "assistant" else self.control
        return {**message, "content": marked(message["content"], pattern)}

    def _text(self, messages: Sequence[Message], *, to_be_answered: bool = False) -> str:
        from jinja2.exceptions import TemplateError

        try:
            return str(
                self.tokenizer.apply_chat_template(
                    list(messages), chat_template=self.template, tokenize=False, add_generation_prompt=to_be_answered
                )
            )
        except TemplateError as error:
            raise ValueError(
                f"the chat template of the base refuses a conversation ({error}); change the examples, or the "
                "chat_template of the tokenizer"
            ) from error

    def _text_and_answers(self, messages: Sequence[Message]) -> tuple[str, list[Span]]:
        whole = self._text(messages)
        if MARKS_ANSWERS.search(self.template):
            from transformers.utils.chat_template_utils import render_jinja_template

            names: dict[str, Any] = {**self.tokenizer.special_tokens_map, "chat_template": self.template}
            # it returns the texts and the answers of each, unlike its type says
            found: Any = render_jinja_template([list(messages)], return_assistant_tokens_mask=True, **names)
            return whole, [self._with_its_end(whole, first, last) for first, last in found[1][0]]
        answers = []
        for place in (place for place, each in enumerate(messages) if each["role"] == "assistant"):
            before = self._text(messages[:place], to_be_answered=True)
            after = self._text(messages[: place + 1])
            if not whole.startswith(after) or not after.startswith(before):
                raise ValueError(
                    "the chat template of the base changes what came before when an answer is added, so that the "
                    "assistant's tokens cannot be told; mark the answers in it with {% generation %} and "
                    "{% endgeneration %}, or give conversations of one answer"
                )
            answers.append(self._without_what_follows(whole, len(before), len(after)))
        return whole, answers

    def _with_its_end(self, text: str, first: int, last: int) -> Span:
        """Return the place of an answer with the end of its turn, which some templates do not mark."""
        follows = self.control.match(text, last)
        has_it = any(each.end() == last for each in self.control.finditer(text, first, last))
        return first, follows.end() if follows and not has_it else last

    def _without_what_follows(self, text: str, first: int, last: int) -> Span:
        """Return the place of an answer without the white space after the end of its turn, which no model writes."""
        ends = [each.end() for each in self.control.finditer(text, first, last)]
        return first, ends[-1] if ends and not text[ends[-1] : last].strip() else last
