"""Arranged: a checkpoint's tensors -> those tensors, renamed and without those that are dropped, as the user says.

Also what to suggest where a head has a name of its own. Used by checkpoint.py and params.py.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from autorel_jax.errors import InputError
from autorel_jax.model.config import BertConfig
from autorel_jax.weights.disk import Tensors
from autorel_jax.weights.names import WRAPPERS

LOSS = ("loss", "criterion", "metric")  # starts of names of what is no part of a model


def arranged(tensors: Tensors, rename: Sequence[str], drop: Sequence[str], source: str) -> Tensors:
    """The tensors under other names; empties what it was given.

    Args:
      tensors: by the names in the file.
      rename: each OLD=NEW, of the start of names; prefixes of wrappers (`module.`, `model.`) may be left out.
      drop: patterns of names to leave out, with * and ?.
      source: the file, for messages.

    Raises:
      InputError: a rename or a pattern that fits no tensor, or makes one name of two.
    """
    if not rename and not drop:
        return tensors
    kept = dict(tensors)
    tensors.clear()  # so that `to_params` frees each tensor that it has taken
    for pattern in drop:
        gone = [name for name in kept if fnmatchcase(name, pattern) or fnmatchcase(bare(name), pattern)]
        if not gone:
            raise InputError(f"drop {pattern!r} fits no tensor of {source}; it has {shown(kept)}.")
        for name in gone:
            del kept[name]
    for rule in rename:
        old, sign, new = rule.partition("=")
        if not old or not sign:
            raise InputError(f"rename {rule!r}: expected OLD=NEW, the start of names, such as 'out.=classifier.'.")
        found = {name: new + bare(name, old)[len(old) :] for name in kept if bare(name, old).startswith(old)}
        if not found:
            raise InputError(f"rename {rule!r}: no tensor of {source} begins with {old!r}; it has {shown(kept)}.")
        renamed = [found.get(name, name) for name in kept]
        if len(set(renamed)) < len(renamed):
            twice = next(name for name in renamed if renamed.count(name) > 1)
            raise InputError(f"rename {rule!r} makes a second {twice} of {source}; drop one of the two.")
        kept = dict(zip(renamed, kept.values(), strict=True))
    return kept


def bare(name: str, start: str = "") -> str:
    """A name without the prefixes of wrappers, unless it begins with `start` as it is."""
    if start and name.startswith(start):
        return name
    return name[re.match(WRAPPERS, name).end() :]


def shown(names: Iterable[str]) -> str:
    """The last names, where heads stand."""
    names = list(names)
    return ("…, " if len(names) > 4 else "") + ", ".join(names[-4:])


def advice(unknown: Mapping[str, str], tensors: Tensors, config: BertConfig, has_head: bool) -> str:
    """What to say where tensors are left over: which --rename or --drop may be meant. Empty or sentences.

    `unknown` has the name in the file of each, by PyTorch's.
    """
    said = ""
    own = {leaf.tensor for leaf in config.head_facts.leaves}
    losses = [raw for raw in unknown.values() if bare(raw).startswith(LOSS) or not tensors[raw].ndim]
    left = [raw for name, raw in unknown.items() if name not in own and raw not in losses]
    maps = [raw for raw in left if is_map(tensors[raw], config) and not raw.endswith("bias")]
    if len(maps) == 1 and not has_head and config.head_facts.leaves:
        old, new = maps[0].rpartition(".")[0], config.head_facts.output.rpartition(".")[0]
        if {raw.rpartition(".")[0] for raw in left} == {old}:
            said += (
                f" If {old} is the map to the logits behind the same head as {config.family.classifiers[0]}'s, give "
                f"--rename '{bare(old)}.={new}.' (rename= in Python)."
            )
    if not own.isdisjoint(unknown) and not has_head and not said:
        said += f" The rest of that head is missing: {config.head_facts.output}."
    if any(".lora_" in raw for raw in unknown.values()):
        said += " It holds a LoRA adapter that is not merged: model.merge_and_unload() of PEFT merges it."
    if losses:
        said += f" What is no part of the model may go: --drop '{bare(losses[0])}' (drop= in Python)."
    return said


def is_map(values: object, config: BertConfig) -> bool:
    """Whether an array may be a linear map from the layers' width to logits."""
    shape = getattr(values, "shape", ())
    return len(shape) == 2 and shape[1] == config.hidden_size and shape[0] <= max(len(config.labels), 64)
