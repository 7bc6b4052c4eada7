"""Presets: the name of one of the original's tasks -> its TOML file. Used by cli/train.py."""

import difflib
from pathlib import Path

from autorel_jax.errors import InputError, one_line

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")  # of an installation, and of a checkout
TEMPLATE = "example"  # to be copied, not run


def named(name: str) -> Path:
    """The file of a task such as SST5, in capitals or not.

    Raises:
      InputError: there is no such task; the message lists those there are.
    """
    folder = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
    files = {path.stem: path for path in sorted(folder.glob("*.toml")) if path.stem != TEMPLATE}
    key = name.casefold()
    if key in files:
        return files[key]
    close = difflib.get_close_matches(key, files, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise InputError(f"There is no task {one_line(name)!r}; there are: {', '.join(files) or 'none'}.{hint}")
