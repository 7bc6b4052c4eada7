"""Foreign: strings and values of other people's files -> how they are shown, and what makes them unusable.

`visible` is the one way in which such a string reaches a terminal or a page. Used by errors.py, the commands, report/
and wherever settings and rows are read.
"""

from typing import Any

REPLACED = "\N{REPLACEMENT CHARACTER}"
# What must not reach a terminal or a page as it is: C0 controls have pictures (␛), C1 controls, lone surrogates and
# the marks that reverse the direction of what follows do not.
PICTURES: dict[int, int | str] = (
    {code: 0x2400 + code for code in range(0x20)}
    | {0x7F: 0x2421}
    | dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000)], REPLACED)
    | dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], REPLACED)
)
DEEPEST = 100  # lists and objects in each other; Python allows 1,000 calls, of which our caller has some


def visible(text: str, pictures: dict[int, int | str] = PICTURES) -> str:
    """Text without control characters: each is replaced by a symbol that can be seen."""
    return text if text.isascii() and text.isprintable() else text.translate(pictures)


def fault_in(value: Any) -> str | None:
    """What is wrong with a value of JSON, as the end of "the column has …"; None if nothing is.

    Half a surrogate pair, which no tokenizer and no format takes; lists and objects nested deeper than DEEPEST.
    """
    left, depth = [value], 0
    while left:  # a level at a time, without recursion
        deeper: list[Any] = []
        for one in left:
            if depth == DEEPEST and isinstance(one, dict | list | tuple):
                return f"lists or objects nested deeper than {DEEPEST}"
            if isinstance(one, dict):
                deeper += [*one, *one.values()]
            elif isinstance(one, list | tuple):
                deeper += one
            elif isinstance(one, str) and (fault := lone_surrogate(one)):
                return fault
        left, depth = deeper, depth + 1
    return None


def lone_surrogate(text: str) -> str | None:
    """What is wrong with a text that UTF-8 cannot hold; None for any other."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"the lone surrogate U+{ord(text[error.start]):04X} at character {error.start}"
    return None
