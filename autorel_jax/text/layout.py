"""Layout: where special tokens and texts stand in what a model reads, such as [CLS] A [SEP] B [SEP].

The order is a fact of the family, a Template. `lay` is the one function that puts it into effect: for token ids, for
tokens with their words, and for the template in tokenizer.json; `room` and `around` say how much of it is special
tokens, `pieces_kept`, `pieces_of_one` and `which_kept` what of a long text is read. Used by tokens.py, tokenizer.py,
windows.py and explaining/.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from autorel_jax.errors import InputError
from autorel_jax.families.family import Template

Part = TypeVar("Part")


def lay(template: Template, texts: Sequence[Part], special: Mapping[str, Part]) -> list[tuple[Part, int, int]]:
    """The parts of what the model reads, in order: each with its segment id and the number of its text, 0 or 1.

    `texts` are one or two of anything, and `special` is the same of each special token, by role. A special token
    counts to the text before it, the first one to the first text.
    """
    parts, text = [], 0
    for holds, segment in template:
        if isinstance(holds, str):
            parts.append((special[holds], segment, text))
        else:
            text = holds
            parts.append((texts[text], segment, text))
    return parts


def one_type(template: Template) -> Template:
    """The same order with segment id 0 everywhere."""
    return tuple(place._replace(segment=0) for place in template)


def has_types(template: Template) -> bool:
    """Whether two texts are told apart by segment ids."""
    return any(segment for _, segment in template)


def around(template: Template) -> tuple[int, int]:
    """How many special tokens stand before the first text, and after it in a template of one."""
    before = next(place for place, (holds, _) in enumerate(template) if not isinstance(holds, str))
    return before, len(template) - before - 1


def room(template: Template, max_length: int) -> int:
    """How many word pieces fit among `max_length` tokens.

    Raises:
      InputError: not one fits.
    """
    special = sum(isinstance(holds, str) for holds, _ in template)
    if max_length <= special:
        raise InputError(f"max_length={max_length} leaves no room for text; use at least {special + 1}.")
    return max_length - special


def pieces_kept(lengths: Sequence[int], room: int) -> list[int]:
    """How many pieces of each text stay: the longer gives first ("longest_first" of the tokenizers library).

    With both longer than half of an odd room, the longer keeps one more, the second if they are equal.
    """
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    if sum(lengths) <= room:
        return list(lengths)
    short = min(*lengths, room // 2)
    return [room - short, short] if lengths[0] > lengths[1] else [short, room - short]


def pieces_of_one(lengths: Sequence[int], room: int, cut: int) -> list[int]:
    """How many pieces of each text of a pair stay, where the one at `cut` alone is cut ("only_first", "only_second").

    Raises:
      InputError: nothing of it would stay.
    """
    if len(lengths) == 1 or sum(lengths) <= room:
        return pieces_kept(lengths, room)
    other = lengths[1 - cut]
    if other >= room:
        text, beside = ("first", "second")[cut], ("first", "second")[1 - cut]
        raise InputError(
            f"the {beside} text has {other} word pieces and {room} are read of both, so that nothing is left of the "
            f"{text} one, which alone is cut; shorten the {beside} text, or raise max_length."
        )
    return [room - other, other] if cut == 0 else [other, room - other]


def which_kept(length: int, kept: int, left: bool) -> slice:
    """Which of so many pieces stay: the last where the left side of a text is cut, else the first."""
    return slice(length - kept, length) if left else slice(kept)
