"""Names: a tensor's name in a PyTorch, Flax or TensorFlow checkpoint <-> the place of its values in params.

All three formats name a model's modules alike. So a family has one table, under PyTorch's names, and `identify` brings
the other spellings to it. Used by params.py.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from autorel_jax.errors import InputError
from autorel_jax.families.family import KERNEL, TABLE, Family, Leaf
from autorel_jax.model.config import BertConfig
from autorel_jax.model.parameters import LAST, STACK, parameter

# Other spellings of "weight". TensorFlow's and Flax's kernels are [in, out] like ours.
WEIGHT_OR_BIAS = {"gamma": "weight", "beta": "bias", "scale": "weight", "kernel": "weight", "embedding": "weight"}
# Of DataParallel, torch.compile, Flax, PEFT, and what people call the model inside their own class.
WRAPPERS = (
    r"(?:(?:module|_orig_mod|params|base_model|base|model|net|backbone|bert_model)\."
    r"|encoder\.(?=(?:embeddings|encoder|pooler|transformer)\.))*"
)
OPTIMIZERS = r"(.*\.)?(adam_m|adam_v)|global_step"  # TensorFlow keeps them among the weights
TF_LAYER = re.compile(r"\blayer_(\d+)\b")


class Slot(NamedTuple):
    """Where a tensor's values stand in our params."""

    path: str  # "layers/query/kernel"
    sizes: tuple[str, ...]  # the config values that are its shape
    shape: tuple[int, ...]  # ours: kernels are [in, out]
    is_kernel: bool  # a linear map's weight, which PyTorch keeps as [out, in]
    row: int | None  # of the stack of layers; None: the path is not a stack
    written: str  # its name in the checkpoints that we write


class Names(NamedTuple):
    """The tensors of a file."""

    known: dict[str, str]  # PyTorch's name without prefix -> the name in the file
    ignored: list[str]  # the names in the file of those that are not needed


def slots(config: BertConfig) -> dict[str, Slot]:
    """Every tensor of that model: PyTorch's name without prefix -> Slot."""
    family, last = config.family, None if config.family.layers.shared else config.num_hidden_layers - 1
    found = {}
    for leaf in config.outside:
        prefix = "" if leaf.path.split("/")[0] in family.bare else family.prefix
        found[leaf.tensor] = slot(leaf, config, leaf.path, prefix + leaf.tensor)
    found |= {leaf.tensor: slot(leaf, config, leaf.path, leaf.tensor) for leaf in config.head}
    # Layers differ in their names and rows alone: a slot is made once for each leaf.
    layer = [(leaf, slot(leaf, config, f"{LAST}/{leaf.path}", "")) for leaf in config.layer]
    for number, name in enumerate(config.stored_layers):
        for leaf, own in layer:
            if number < leaf.first:
                continue
            path, row = (own.path, None) if number == last else (f"{STACK}/{leaf.path}", number - leaf.first)
            tensor = f"{name}.{leaf.tensor}"
            found[tensor] = Slot(path, own.sizes, own.shape, own.is_kernel, row, family.prefix + tensor)
    return found


def slot(leaf: Leaf, config: BertConfig, path: str, written: str) -> Slot:
    """The slot of a leaf outside the stack."""
    return Slot(path, leaf.sizes, parameter(leaf, config).shape, leaf.kind == KERNEL, None, written)


def identify(raws: Iterable[str], config: BertConfig, source: str) -> Names:
    """The names in a file -> PyTorch's names without prefix, and those to ignore; `source` names the file in messages.

    Raises:
      InputError: a name that cannot be printed, one of a foreign head, or two names of one tensor.
    """
    family = config.family
    ignored_pattern = re.compile("|".join((*family.ignored, OPTIMIZERS)))
    head = {*(leaf.tensor for leaf in config.head_facts.leaves), *config.head_facts.aliases}
    prefix = re.compile(f"{WRAPPERS}(?:{re.escape(family.prefix)})?")
    tables = {leaf.tensor.removesuffix(".weight") for leaf in family.outside if leaf.kind == TABLE}
    known: dict[str, str] = {}
    ignored = []
    for raw in raws:
        if not raw.isprintable():
            raise InputError(f"{source}: a tensor is named {raw!r}; expected a printable name.")
        name = canonical(family.renamed.get(raw, raw), prefix, tables)
        refuse_foreign(name, raw, config, source)
        if ignored_pattern.fullmatch(name) and name not in head:
            ignored.append(raw)
        elif name in known:
            raise InputError(f"{source}: both {known[name]} and {raw} hold {name}; remove one.")
        else:
            known[name] = raw
    return Names(known, ignored)


def canonical(raw: str, prefix: re.Pattern[str], tables: set[str]) -> str:
    """PyTorch's name without prefix: bert/embeddings/LayerNorm/gamma -> embeddings.LayerNorm.weight."""
    name = TF_LAYER.sub(r"layer.\1", raw.replace("/", "."))
    name = name[prefix.match(name).end() :]
    if name in tables:  # TensorFlow names a table by its module alone
        return f"{name}.weight"
    module, dot, last = name.rpartition(".")
    return module + dot + WEIGHT_OR_BIAS.get(last, last)


def refuse_foreign(name: str, raw: str, config: BertConfig, source: str) -> None:
    """Raises InputError for a tensor of a head that is not the config's."""
    family, own = config.family, [leaf.tensor for leaf in config.head_facts.leaves]
    for start, head in family.foreign.items():
        if name.startswith(start) and name not in own:
            raise InputError(
                f"{source}: tensor {raw} is of {head}, but the config is of {config.architecture}, with "
                f"{config.head_facts.described}; accepted architectures: {', '.join(family.tasks)}."
            )


def layer_numbers(names: Iterable[str], family: Family) -> set[int]:
    """The numbers of the layers that the names speak of, or of the groups of layers."""
    number = re.compile(rf"{re.escape(family.layers.name)}\.(\d{{1,9}})\.")
    return {int(match[1]) for match in map(number.match, names) if match}
