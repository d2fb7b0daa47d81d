"""Names that look the same to people and are different to a computer.

"é" can be stored as one letter (form NFC) or as "e" and an accent (form NFD, which some Macs use).
A space at the end cannot be seen, nor can letters that only say in which direction to read. And a
Cyrillic "а" is not a Latin "a".
"""

import unicodedata
from collections.abc import Iterable

# The letters that are mixed up most, from https://www.unicode.org/Public/security/confusables.txt
LOOKS = str.maketrans(
    "аеорсухіјѕһԁвкмнт" + "αορν" + "\u2010\u2011\u2012\u2013\u2014\u2212",
    "aeopcyxijshdbkmht" + "aopv" + "------",
)
FORMAT = "Cf"  # Unicode's category of letters that cannot be seen
VARIATION_SELECTORS = range(0xFE00, 0xFE10)  # choose between two drawings of one emoji


def canonical(name: str) -> str:
    """The one form (NFC) that stands for all ways to store the same letters."""
    return unicodedata.normalize("NFC", name)


def look(name: str) -> str:
    """What people see of a name: the same for names that they could mix up."""
    seen = "".join(
        letter
        for letter in canonical(name)
        if unicodedata.category(letter) != FORMAT and ord(letter) not in VARIATION_SELECTORS
    )
    words = seen.casefold().translate(LOOKS).split()
    return " ".join(words)


def look_alikes(names: Iterable[str]) -> list[str]:
    """The first names of a list that look the same; an empty list if all can be told apart."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(look(name), []).append(name)
    return next((group for group in groups.values() if len(group) > 1), [])


def spelled(names: Iterable[str]) -> str:
    """A list of names; where two of them look the same, with the codes of unusual letters."""
    names = list(names)
    write = ascii if look_alikes(names) else repr
    return f"[{', '.join(write(name) for name in names)}]"
