"""InputError: what the user gave cannot be used. The commands print it as one line and exit with code 2.

The text says what was received, what is accepted and what to do next, in one line.
"""


class InputError(ValueError):
    """A fault of the input (a file, a flag, a text), never of the program."""
