"""Names: a tensor's name in a PyTorch, Flax or TensorFlow checkpoint <-> the place of its values in params.

All three formats name BERT's modules alike, so there is one table, under PyTorch's names, and `canonical`
brings the other spellings to it. Used by params.py.
"""

import re
from typing import NamedTuple

from autorel_jax.model.config import BertConfig

Parts = dict[str, tuple[str, tuple[str, ...]]]  # "weight" or "bias" -> (our path, the sizes by their config names)
WIDTH, INNER = "hidden_size", "intermediate_size"


class Slot(NamedTuple):
    """Where a tensor's values stand in our params."""

    path: str  # "layers/query/kernel"
    sizes: tuple[str, ...]  # the config values that are its shape, ours: kernels are [in, out]
    row: int | None = None  # of the stack of layers; None: the path is no stack

    @property
    def is_kernel(self) -> bool:
        """A linear map's weight: PyTorch keeps it as [out, in]."""
        return self.path.endswith("kernel")


def table(path: str, rows: str) -> Parts:
    """An embedding table."""
    return {"weight": (path, (rows, WIDTH))}


def norm(path: str) -> Parts:
    """A LayerNorm."""
    return {"weight": (f"{path}/scale", (WIDTH,)), "bias": (f"{path}/bias", (WIDTH,))}


def affine(path: str, rows: str, columns: str) -> Parts:
    """A linear map."""
    return {"weight": (f"{path}/kernel", (rows, columns)), "bias": (f"{path}/bias", (columns,))}


EMBEDDINGS = {
    "embeddings.word_embeddings": table("embeddings/word", "vocab_size"),
    "embeddings.position_embeddings": table("embeddings/position", "max_position_embeddings"),
    "embeddings.token_type_embeddings": table("embeddings/type", "type_vocab_size"),
    "embeddings.LayerNorm": norm("embeddings/norm"),
}
LAYER = {  # under encoder.layer.N; ours under layers (row N) or last_layer
    "attention.self.query": affine("query", WIDTH, WIDTH),
    "attention.self.key": affine("key", WIDTH, WIDTH),
    "attention.self.value": affine("value", WIDTH, WIDTH),
    "attention.output.dense": affine("attention_output", WIDTH, WIDTH),
    "attention.output.LayerNorm": norm("attention_norm"),
    "intermediate.dense": affine("inner", WIDTH, INNER),
    "output.dense": affine("output", INNER, WIDTH),
    "output.LayerNorm": norm("output_norm"),
}
POOLER = {"pooler.dense": affine("pooler", WIDTH, WIDTH)}
POOLER_TENSORS = tuple(f"{module}.{part}" for module, parts in POOLER.items() for part in parts)
CLASSIFIER = {"classifier": affine("classifier", WIDTH, "num_labels")}

# Other spellings of the parts. TensorFlow's and Flax's kernels are [in, out] like ours.
PARTS = {"gamma": "weight", "beta": "bias", "scale": "weight", "kernel": "weight", "embedding": "weight"}
TF_HEAD = {"output_weights": "classifier.weight", "output_bias": "classifier.bias"}  # weights [C, D]
PREFIX = re.compile(r"(?:(?:module|_orig_mod|params)\.)*(?:bert\.)?")
IGNORED = re.compile(
    r"embeddings\.(position_ids|token_type_ids)"  # counters, no weights
    r"|cls\..*"  # the heads of pre-training: masked words, next sentence
    r"|(.*\.)?(adam_m|adam_v)|global_step"  # the optimizer's
)
FOREIGN = {  # heads that are not BERT's, by the start of the name
    "classifier.dense.": "RoBERTa's classification head",
    "classifier.out_proj.": "RoBERTa's classification head",
    "pre_classifier.": "DistilBERT's classification head",
    "qa_outputs.": "a question-answering head",
}
LAYER_NUMBER = re.compile(r"encoder\.layer\.(\d{1,9})\.")


def canonical(name: str) -> str:
    """PyTorch's name without prefix: bert/embeddings/LayerNorm/gamma -> embeddings.LayerNorm.weight."""
    name = re.sub(r"\blayer_(\d+)\b", r"layer.\1", TF_HEAD.get(name, name).replace("/", "."))
    name = name[PREFIX.match(name).end() :]
    if name in EMBEDDINGS:  # TensorFlow names a table by its module alone
        return f"{name}.weight"
    module, dot, part = name.rpartition(".")
    return module + dot + PARTS.get(part, part)


def is_in_out(name: str) -> bool:
    """Whether the linear map of that raw name is kept as [in, out]."""
    return name.endswith("kernel")


def slots(config: BertConfig) -> dict[str, Slot]:
    """Every tensor of that model: PyTorch's name without prefix -> Slot."""
    head = CLASSIFIER if config.labels else {}
    found = {
        f"{module}.{part}": Slot(path, sizes)
        for module, parts in (EMBEDDINGS | POOLER | head).items()
        for part, (path, sizes) in parts.items()
    }
    last = config.num_hidden_layers - 1
    for number in range(last + 1):
        stack, row = ("last_layer", None) if number == last else ("layers", number)
        for module, parts in LAYER.items():
            for part, (path, sizes) in parts.items():
                name = f"encoder.layer.{number}.{module}.{part}"
                found[name] = Slot(f"{stack}/{path}", sizes, row)
    return found


def leaf_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every leaf of our params, by its path; the stack is there also where it has no rows."""
    found = {
        slot.path: tuple(getattr(config, size) for size in slot.sizes)
        for slot in slots(config).values()
        if slot.row is None
    }
    depth = config.num_hidden_layers - 1
    stacked = {
        path.replace("last_layer", "layers"): (depth, *shape)
        for path, shape in found.items()
        if path.startswith("last_layer")
    }
    return found | stacked
