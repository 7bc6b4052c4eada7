"""InputError: what the user gave cannot be used. The commands print it as one line and exit with code 2.

The text says what was received, what is accepted and what to do next, in one line.
"""


class InputError(ValueError):
    """A fault of the input (a file, a flag, a text), never of the program."""


def out_of_memory(error: Exception) -> bool:
    """Whether an error of JAX's says that a device's memory ran out."""
    return "RESOURCE_EXHAUSTED" in str(error)


def one_line(value: object, limit: int = 200) -> str:
    """An error's or a value's text for use in a message: its first line, no final full stop, cut at `limit`."""
    lines = str(value).strip().splitlines() or [type(value).__name__]
    text = " ".join(lines[0].split())
    return text.rstrip(".") if len(text) <= limit else f"{text[:limit]}…"
