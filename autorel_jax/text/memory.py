"""Memory: a tokenizer of transformers that a program holds -> its files, which are read as any others.

Nothing of transformers is imported: the tokenizer brings its class. Used by classifier.py.
"""

import json
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.text.settings import CONFIG

SET_LATER = ("model_input_names", "truncation_side", "model_max_length")  # that transformers saves as they were read
PROBES = (  # texts, and pairs of texts
    ("A Good naïve film",),
    ("don't  stop: 2.5% ÉÀ한中 \u00a0x a\u200bb\tc\nd",),
    (" film",),
    ("A good {sep} film {cls}{unk}{mask}",),
    ("",),
    ("A Good film", "naïve, too"),
)
READ = ("input_ids", "token_type_ids")  # of what a tokenizer makes


def write_files(tokenizer: Any, folder: Path) -> None:
    """Writes the files of a tokenizer.

    Raises:
      InputError: it is not a tokenizer of transformers, or what is written makes other ids than it does.
    """
    if not callable(getattr(tokenizer, "save_pretrained", None)) or not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise InputError(f"tokenizer is a {type(tokenizer).__name__}; expected one of transformers, or a path.")
    home = type(tokenizer).__module__
    if not home.startswith("transformers."):
        raise InputError(
            f"the {type(tokenizer).__name__} is a class of {home}, whose code is not run; give a tokenizer of "
            "transformers, or its files."
        )
    tokenizer.save_pretrained(folder)
    now = {name: getattr(tokenizer, name) for name in SET_LATER if hasattr(tokenizer, name)}
    file = folder / CONFIG
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | now), encoding="utf-8")
    try:
        again = type(tokenizer).from_pretrained(str(folder))
    except Exception as error:  # of whatever the class does
        raise InputError(f"the {type(tokenizer).__name__} cannot read what it writes ({one_line(error)}).") from None
    for probe in PROBES:
        special = {name: getattr(again, f"{name}_token") or "" for name in ("sep", "cls", "unk", "mask")}
        texts = [text.format(**special) for text in probe]
        ours, theirs = again(*texts), tokenizer(*texts)
        if name := next((name for name in READ if ours.get(name) != theirs.get(name)), None):
            raise InputError(
                f"the {type(tokenizer).__name__} makes the {name} {one_line(theirs.get(name), 60)} of "
                f"{' and '.join(map(repr, texts))}, but what its save_pretrained writes makes "
                f"{one_line(ours.get(name), 60)}, and files are what is read: something was changed on it after "
                "loading. Give such settings to from_pretrained, or change the files."
            )
