"""vocab.txt: one word piece a line -> its id, and back. Used by pipelines.py and tokenizer.py."""

from collections.abc import Mapping
from pathlib import Path

from autorel_jax.errors import InputError


def read_vocab(path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """The lines of vocab.txt -> {piece: line number from 0}, and warnings.

    Of a repeated line the last counts, as in transformers; the others keep their number, under a name that no
    text can produce (no piece has a space in it), so that the vocabulary is as long as the embedding table.
    """
    lines = _lines(path)
    last = {line: number for number, line in enumerate(lines)}
    vocab, warnings = {}, []
    for number, line in enumerate(lines):
        unusable = line == "" or last[line] != number
        vocab[_unused(number) if unusable else line] = number
        if unusable:
            what = f"repeats {line!r}; its last line, {last[line] + 1}, counts" if line else "is empty"
            warnings.append(f"{path.name}: line {number + 1} {what}.")
    return vocab, tuple(warnings)


def vocab_lines(vocab: Mapping[str, int]) -> list[str]:
    """One piece a line, in order of id; an id without a piece gets a line that no text can produce."""
    pieces = {number: piece for piece, number in vocab.items()}
    return [pieces.get(number, _unused(number)) for number in range(max(pieces) + 1)]


def _unused(number: int) -> str:
    return f"[unused line {number + 1}]"


def _lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    if b"\0" in raw:
        raise InputError(f"{path} is binary, not a vocab.txt (one word piece a line, UTF-8).")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8; a vocab.txt has one word piece a line.") from None
    # Not splitlines(): U+2028 and its like may be word pieces.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    if lines == [""]:
        raise InputError(f"{path} is empty; a vocab.txt has one word piece a line.")
    return lines
