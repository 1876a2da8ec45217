"""Reading conversations: messages of a system, a user and an assistant, as data sets write them down.

    [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good morning."}]
    [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Good morning."}]

The second is what ShareGPT began with; it is read as the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_modules.heads._fields import list_of

Message = dict[str, str]

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
"""What data sets call a speaker -> the role."""


def conversation_of(value: Any, name: str) -> list[Message]:
    """Return a conversation: a system message or none, then user and assistant in turns, the user first.

    Chat templates know no other order, and many refuse it. A system message without a word is left out.
    """
    messages = [_message_of(each, name) for each in list_of(value, name)]
    if messages and messages[0]["role"] == "system" and not messages[0]["content"].strip():
        del messages[0]
    turns = messages[1:] if messages and messages[0]["role"] == "system" else messages
    if not turns:
        raise ValueError(f"{name} without a turn of the user")
    for place, each in enumerate(turns):
        if each["role"] == "system":
            raise ValueError(f"{name} with a system message after the first message")
        if place == 0 and each["role"] == "assistant":
            raise ValueError(f"{name} that begin with the assistant")
        if place and each["role"] == turns[place - 1]["role"]:
            raise ValueError(f"{name} with two messages of the {each['role']} in a row")
        if not each["content"].strip():
            raise ValueError(f"{name} with an empty message of the {each['role']}")
    return messages


def _message_of(value: Any, name: str) -> Message:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} hold something else than messages with a role and a content")
    role, content = value.get("role", value.get("from")), value.get("content", value.get("value"))
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise ValueError(f"{name} with a role that is none of system, user and assistant")
    if not isinstance(content, str):
        raise ValueError(f"{name} with a content that is no string")
    return {"role": ROLES[role.lower()], "content": content}


def up_to_the_last_answer(messages: list[Message]) -> list[Message]:
    """Return a conversation without a question at its end that nobody answered."""
    return messages[:-1] if messages[-1]["role"] == "user" else messages


def said_by(messages: list[Message], *roles: str) -> list[str]:
    """Return what these said, in order."""
    return [each["content"] for each in messages if each["role"] in roles]
