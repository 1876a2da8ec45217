"""Personal data of nobody, drawn from a seed in ten formats, and as many look-alikes, all in running text.

What stands before a "|" only says what follows. Check digits are made by other routes than the finders test them: by
trying digits against a textbook formula, or by remainders. National numbers are of ten countries, keys of nine sorts.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass

SENTENCES = (
    "Please use {} from now on, she said.",
    "It was written on the back of the page: {}",
    "We found {} in the letter and did not know what to do with it.",
    "{} is what he left us.",
    "Nobody remembers why ({}) was crossed out.",
    'The note said "{}", nothing else.',
    "First came {}, then the rain; the others had gone home.",
    "After all these years I still know {}.",
)
HEX, CAPITALS, WORDS = (
    "0123456789abcdef",
    string.ascii_uppercase,
    ("maple", "river", "stone", "harbour", "lantern", "meadow"),
)


@dataclass(frozen=True)
class Case:
    """A text with something at `start` to before `end`; `kind` is None for a look-alike."""

    text: str
    start: int
    end: int
    kind: str | None
    format: str


def positives(seed: int, each: int = 200) -> list[Case]:
    """Return so many texts of each format that hold personal data."""
    rng = random.Random(seed)
    return [_case(rng, make(rng), kind, name) for name, (kind, make) in POSITIVES.items() for _ in range(each)]


def look_alikes(seed: int, each: int = 200) -> list[Case]:
    """Return so many texts of each format that hold none."""
    rng = random.Random(seed)
    return [_case(rng, make(rng), None, name) for name, make in LOOK_ALIKES.items() for _ in range(each)]


def _case(rng: random.Random, value: str, kind: str | None, name: str) -> Case:
    sentences = [sentence.format(rng.choice(WORDS)) for sentence in rng.choices(SENTENCES, k=2)]
    before, after = rng.choice(SENTENCES).split("{}")
    called, _, value = value.rpartition("|")
    text = f"{sentences[0]} {before}{called}{value}{after} {sentences[1]}"
    start = len(sentences[0]) + 1 + len(before) + len(called)
    return Case(text, start, start + len(value), kind, name)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _from(rng: random.Random, alphabet: str, count: int) -> str:
    return "".join(rng.choices(alphabet, k=count))


def _email(rng: random.Random) -> str:
    name = rng.choice(("ann.lee", "b_smith", "carla+news", "d.e.f", "eva-maria", "zoë")) + rng.choice(("", "7", "1984"))
    host = rng.choice(WORDS) + rng.choice((".org", ".com", ".co.uk", ".de", ".edu", ".io", ".museum"))
    return f"{name}@{rng.choice(('', 'mail.', 'cs.'))}{host}"


def _international(rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: f"+44 20 7{_digits(rng, 3)} {_digits(rng, 4)}",
            lambda: f"+49 (0)30 {_digits(rng, 7)}",
            lambda: f"+33 {rng.randint(1, 9)} {' '.join(_digits(rng, 2) for _ in range(4))}",
            lambda: f"+91-{rng.randint(6, 9)}{_digits(rng, 4)}-{_digits(rng, 5)}",
            lambda: f"+86 13{_digits(rng, 1)} {_digits(rng, 4)} {_digits(rng, 4)}",
            lambda: f"+55 (11) 9{_digits(rng, 4)}-{_digits(rng, 4)}",
            lambda: f"+1 {rng.randint(201, 989)} {rng.randint(200, 999)} {_digits(rng, 4)}",
            lambda: f"+34{rng.randint(6, 9)}{_digits(rng, 8)}",
            lambda: f"0041 44 {_digits(rng, 3)} {_digits(rng, 2)} {_digits(rng, 2)}",
        )
    )()


def _american(rng: random.Random) -> str:
    area, exchange, line = rng.randint(201, 989), rng.randint(200, 999), _digits(rng, 4)
    return rng.choice(
        ("({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "1-{}-{}-{}", "({}){}-{}", "{} {} {}", "{}-{}-{} x12")
    ).format(area, exchange, line)


def _national_phone(rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: f"0{rng.randint(1, 9)} {' '.join(_digits(rng, 2) for _ in range(4))}",
            lambda: f"020 7{_digits(rng, 3)} {_digits(rng, 4)}",
            lambda: f"0161 {rng.randint(200, 999)} {_digits(rng, 4)}",
            lambda: f"030/{rng.randint(1, 9)}{_digits(rng, 6)}",
            lambda: f"0171-{rng.randint(1, 9)}{_digits(rng, 6)}",
            lambda: f"04{_digits(rng, 2)} {_digits(rng, 3)} {_digits(rng, 3)}",
            lambda: f"(11) 9{_digits(rng, 4)}-{_digits(rng, 4)}",
            lambda: f"03-{rng.randint(1, 9)}{_digits(rng, 3)}-{_digits(rng, 4)}",
            lambda: f"telephone |{rng.randint(2, 9)}{_digits(rng, 6)}",
        )
    )()


def _public_ipv4(rng: random.Random) -> str:
    first = rng.choice([number for number in range(11, 223) if number not in (100, 127, 169, 172, 192, 198, 203)])
    return ".".join(map(str, (first, *(rng.randint(0, 255) for _ in range(3)))))


def _public_ipv6(rng: random.Random) -> str:
    groups = [
        f"2{rng.choice('46')}{_from(rng, HEX, 2)}",
        *(_from(rng, HEX, rng.randint(2, 4)).lstrip("0") or "a" for _ in range(7)),
    ]
    if rng.random() < 0.5:
        groups[3:6] = [""]
    text = ":".join(groups)
    return text.upper() if rng.random() < 0.2 else text


def _luhn_sum(digits: str) -> int:
    table = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    return sum(table[int(each)] if place % 2 else int(each) for place, each in enumerate(reversed(digits)))


def _card(rng: random.Random) -> str:
    beginning, length = rng.choice(
        (("4", 16), ("51", 16), ("2345", 16), ("37", 15), ("6011", 16), ("3530", 16), ("62", 16), ("4", 13))
    )
    body = beginning + _digits(rng, length - len(beginning) - 1)
    number = next(body + check for check in string.digits if _luhn_sum(body + check) % 10 == 0)
    if length == 13 or rng.random() < 0.3:
        return number
    cuts = (4, 10) if length == 15 else (4, 8, 12)
    return rng.choice((" ", "-")).join(number[a:b] for a, b in zip((0, *cuts), (*cuts, length), strict=True))


def _iban(rng: random.Random) -> str:
    country, body = rng.choice(
        (
            ("DE", _digits(rng, 18)),
            ("GB", _from(rng, CAPITALS, 4) + _digits(rng, 14)),
            ("FR", _digits(rng, 10) + _from(rng, CAPITALS + string.digits, 11) + _digits(rng, 2)),
            ("NL", _from(rng, CAPITALS, 4) + _digits(rng, 10)),
            ("NO", _digits(rng, 11)),
            ("ES", _digits(rng, 20)),
            ("MT", _from(rng, CAPITALS, 4) + _digits(rng, 5) + _from(rng, CAPITALS + string.digits, 18)),
        )
    )
    value = int(
        "".join(str(string.digits.find(c) if c.isdigit() else CAPITALS.index(c) + 10) for c in body + country) + "00"
    )
    number = f"{country}{98 - value % 97:02}{body}"
    return number if rng.random() < 0.5 else " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def _date_digits(rng: random.Random, year_digits: int = 2) -> str:
    return f"{rng.randint(1940, 2005)}"[-year_digits:] + f"{rng.randint(1, 12):02}{rng.randint(1, 28):02}"


def _spanish(rng: random.Random) -> str:
    number = rng.randint(10**7, 10**8 - 1)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def _brazilian(rng: random.Random) -> str:
    digits = [rng.randint(0, 9) for _ in range(9)]
    for _ in range(2):
        rest = sum(digit * weight for weight, digit in enumerate(reversed(digits), start=2)) % 11
        digits.append(0 if rest < 2 else 11 - rest)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def _french(rng: random.Random) -> str:
    body = f"{rng.choice('12')}{rng.randint(0, 99):02}{rng.randint(1, 12):02}{rng.randint(1, 95):02}{_digits(rng, 6)}"
    parts = (body[0], body[1:3], body[3:5], body[5:7], body[7:10], body[10:], f"{97 - int(body) % 97:02}")
    return rng.choice(("", " ")).join(parts)


def _chinese(rng: random.Random) -> str:
    body = f"{rng.randint(110000, 659000)}{_date_digits(rng, 4)}{_digits(rng, 3)}"
    # ISO 7064, MOD 11-2: the whole number, with X for ten, leaves 1.
    return next(
        body + check
        for check in "0123456789X"
        if sum(("0123456789X".index(each)) * pow(2, 17 - place, 11) for place, each in enumerate(body + check)) % 11
        == 1
    )


def _swedish(rng: random.Random) -> str:
    body = _date_digits(rng) + _digits(rng, 3)
    check = next(check for check in string.digits if _luhn_sum(body + check) % 10 == 0)
    return f"{body[:6]}-{body[6:]}{check}"


def _belgian(rng: random.Random) -> str:
    body = _date_digits(rng) + _digits(rng, 3)
    check = f"{97 - int(body) % 97:02}"
    return f"{body[:2]}.{body[2:4]}.{body[4:6]}-{body[6:]}.{check}"


def _finnish(rng: random.Random) -> str:
    body = f"{rng.randint(1, 28):02}{rng.randint(1, 12):02}{rng.randint(40, 99)}"
    serial = f"{rng.randint(2, 899):03}"
    return f"{body}-{serial}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(body + serial) % 31]}"


def _german(rng: random.Random) -> str:
    first = rng.sample(string.digits, 9)
    digits = [*first, rng.choice(first)]
    rng.shuffle(digits)
    if digits[0] == "0":
        digits.reverse()
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10
        product = (2 * (total if total else 10)) % 11
    text = "".join(digits) + str((11 - product) % 10)
    return f"{text[:2]} {text[2:5]} {text[5:8]} {text[8:]}"


def _british(rng: random.Random) -> str:
    pairs = " ".join(_digits(rng, 2) for _ in range(3))
    return f"{_from(rng, 'ABCEHJ', 2)} {pairs} {rng.choice('ABCD')}"


def _social_security(rng: random.Random) -> str:
    return f"{rng.randint(1, 665):03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def _national_id(rng: random.Random) -> str:
    european = (_british, _spanish, _french, _swedish, _belgian, _finnish, _german)
    return rng.choice((_social_security, _brazilian, _chinese, *european))(rng)


def _key(rng: random.Random) -> str:
    letters = string.ascii_letters + string.digits
    part = lambda **claims: base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")  # noqa: E731
    return rng.choice(
        (
            lambda: "AKIA" + _from(rng, CAPITALS + string.digits, 16),
            lambda: "ghp_" + _from(rng, letters, 36),
            lambda: "AIza" + _from(rng, letters + "-_", 34) + "a",
            lambda: f"xoxb-{_digits(rng, 11)}-{_from(rng, letters, 24)}",
            lambda: "sk_live_" + _from(rng, letters, 24),
            lambda: "hf_" + _from(rng, letters, 34),
            lambda: f"{part(alg='HS256', typ='JWT')}.{part(sub=_digits(rng, 10))}.{_from(rng, letters + '-_', 43)}",
            lambda: f"api_key = |{_from(rng, letters, 32)}",
            lambda: (
                "-----BEGIN RSA PRIVATE KEY-----\n"
                + "\n".join(_from(rng, letters + "+/", 64) for _ in range(4))
                + "\n-----END RSA PRIVATE KEY-----"
            ),
        )
    )()


def _version(rng: random.Random) -> str:
    small = ".".join(str(rng.randint(0, 30)) for _ in range(4))
    large = f"{rng.randint(1, 120)}.0.{rng.randint(0, 255)}.{rng.randint(0, 255)}"
    return rng.choice((small, f"v{small}", f"version {large}", f"lib-{large}", f"numpy=={large}", f"release {large}"))


def _date(rng: random.Random) -> str:
    year, month, day = rng.randint(1900, 2030), rng.randint(1, 12), rng.randint(1, 28)
    hour, minute, second = rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)
    return rng.choice(
        (
            f"{year}-{month:02}-{day:02}",
            f"{day:02}.{month:02}.{year} {hour:02}:{minute:02}",
            f"{day:02}/{month:02}/{year}",
            f"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{_digits(rng, 6)}+01:00",
            f"{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}",
            f"{hour:02}:{minute:02}:{second:02}",
            f"{day:02}-{month:02}-{year} {hour:02}-{minute:02}",
            f"{year}-{year + 4}, {year + 6}-{year + 9}",
        )
    )


def _isbn(rng: random.Random) -> str:
    body = f"978{_digits(rng, 9)}"
    check = -sum(int(each) * (3 if place % 2 else 1) for place, each in enumerate(body)) % 10
    return rng.choice(
        (
            f"ISBN {body}{check}",
            f"{body[:3]}-{body[3]}-{body[4:7]}-{body[7:]}-{check}",
            f"ISBN 0-{_digits(rng, 3)}-{_digits(rng, 5)}-X",
        )
    )


def _order(rng: random.Random) -> str:
    return rng.choice(
        (
            f"order number {_digits(rng, 10)}",
            f"invoice 2024-{_digits(rng, 6)}",
            f"ticket #{_digits(rng, 8)}",
            f"{_digits(rng, 3)}-{_digits(rng, 7)}-{_digits(rng, 7)}",
            f"SKU {_from(rng, CAPITALS, 3)}-{_digits(rng, 6)}",
            f"part no. {_digits(rng, 4)}-{_digits(rng, 4)}",
            f"1{_digits(rng, 9)}",
            f"case {_digits(rng, 4)}/{_digits(rng, 2)}",
        )
    )


def _quiet_address(rng: random.Random) -> str:
    low, high = rng.randint(0, 255), rng.randint(1, 254)
    return rng.choice(
        (
            f"192.168.{low}.{high}",
            f"10.{low}.{low}.{high}",
            f"172.{16 + low % 16}.{low}.{high}",
            f"127.0.0.{high}",
            f"203.0.113.{high}",
            f"2001:db8::{high:x}",
            f"fe80::{low:x}:{high:x}",
            "::1",
            f"00:1a:2b:{low:02x}:4d:{high:02x}",
            f"224.0.0.{high}",
        )
    )


def _wrong_check(rng: random.Random) -> str:
    card = _card(rng)
    iban = _iban(rng)
    return rng.choice(
        (
            card[:-1] + str((int(card[-1]) + rng.randint(1, 9)) % 10),
            iban[:2] + f"{(int(iban[2:4]) + rng.randint(1, 40)) % 97 + 2:02}"[:2] + iban[4:]
            if iban[2:4] < "50"
            else f"9{_digits(rng, 15)}",
            _spanish(rng)[:-1] + "I",
        )
    )


def _measure(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{rng.randint(1, 999)},{_digits(rng, 3)},{_digits(rng, 3)}",
            f"{rng.randint(1, 99)}.{_digits(rng, 10)}",
            f"{rng.randint(-90, 90)}.{_digits(rng, 6)}, {rng.randint(-180, 180)}.{_digits(rng, 6)}",
            f"${_digits(rng, 4)}.{_digits(rng, 2)}",
            f"{_digits(rng, 3)} x {_digits(rng, 4)} pixels",
            f"10.1000/{_digits(rng, 6)}.{_digits(rng, 4)}",
            f"arXiv:{_digits(rng, 4)}.{_digits(rng, 5)}",
            f"{rng.randint(1, 9)}.{rng.randint(0, 9)}e+{rng.randint(10, 99)}",
            f"1 2 3 4 5 {rng.randint(6, 9)} 10 11 12",
        )
    )


def _at_sign(rng: random.Random) -> str:
    return rng.choice(
        (
            "@property",
            "@pytest.mark.slow",
            "left@right.T",
            "logo@2x.png",
            "react@18.2.0",
            "git clone user@host:repo",
            "a @ b",
            "@media",
        )
    )


def _identifier(rng: random.Random) -> str:
    return rng.choice(
        (
            "token = tokenizer_from_pretrained_v2",
            "password_reset_token_generator",
            "secret_key = os.environ",
            "api_key=YOUR_API_KEY_GOES_HERE",
            "sk-learn-contrib-estimators",
            "lm_modules/data/cleaners/personal_data.py",
            "https://docs.python.org/3/library/re.html#index-42",
            "model-00001-of-00004.safetensors",
            "AKIAPHILIPPINES",
        )
    )


POSITIVES: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "e-mail": ("EMAIL", _email),
    "phone, international": ("PHONE", _international),
    "phone, American": ("PHONE", _american),
    "phone, national": ("PHONE", _national_phone),
    "IPv4": ("IP_ADDRESS", _public_ipv4),
    "IPv6": ("IP_ADDRESS", _public_ipv6),
    "card": ("CARD", _card),
    "IBAN": ("IBAN", _iban),
    "national number": ("NATIONAL_ID", _national_id),
    "key or token": ("KEY", _key),
}
LOOK_ALIKES: dict[str, Callable[[random.Random], str]] = {
    "version": _version,
    "date or time": _date,
    "hash": lambda rng: _from(rng, HEX, rng.choice((7, 32, 40, 64))),
    "UUID": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "ISBN": _isbn,
    "order or ticket": _order,
    "private or reserved address": _quiet_address,
    "wrong check digit": _wrong_check,
    "measure or figure": _measure,
    "at sign, identifier or path": lambda rng: rng.choice((_at_sign, _identifier))(rng),
}
