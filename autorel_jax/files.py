"""Files: TOML."""

import tomllib
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line


def read_toml(path: Path, instead: str = "give a TOML file") -> dict[str, Any]:
    """The tables of a TOML file, or an InputError; where there is none it says what to do `instead`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors write a byte order mark
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {instead}.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a TOML file that can be read: {one_line(error)}.") from None
