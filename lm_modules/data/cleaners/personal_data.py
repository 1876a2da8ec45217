"""Replaces personal data by the name of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lm_modules.data.cleaners import Cleaner
from lm_modules.data.personal import KINDS, masked, num_masked


class PersonalData(Cleaner):
    """Writes PI:EMAIL for an e-mail address, and so on, as ROOTS does (Laurençon et al. 2022, arXiv 2303.03915, A.2).

    ROOTS replaces e-mail addresses, user names, IP addresses and keys, and left out phone numbers and numbers of
    persons for their false finds. Here those are found by check digits and forms, which leave little of that.
    """

    kind: Literal["personal_data"] = "personal_data"
    email: bool = True
    """Replace addresses of e-mail by PI:EMAIL."""
    phone: bool = True
    """Replace phone numbers with the code of a country or in a common form by PI:PHONE."""
    ip_address: bool = True
    """Replace internet addresses by PI:IP_ADDRESS, but no private, reserved or documentation addresses."""
    card: bool = True
    """Replace numbers of payment cards by PI:CARD, by their check digit."""
    iban: bool = True
    """Replace international bank account numbers by PI:IBAN, by their check digits."""
    national_id: bool = True
    """Replace numbers that twenty states give to persons by PI:NATIONAL_ID, by form and check digits."""
    key: bool = True
    """Replace private keys, and keys, tokens and passwords of services, by PI:KEY."""
    user: bool = False
    """Replace names of users ("@ann") by PI:USER; in code and packages much looks like one."""

    def clean(self, text: str) -> str:
        """Return the text with placeholders."""
        return masked(text, [kind for kind in KINDS if getattr(self, kind.lower())])

    def replaced(self, before: str, after: str) -> Mapping[str, int]:
        """Return how much of each kind was replaced."""
        return num_masked(before, after) if before != after else {}
