"""Files: a directory, a weights file or a TensorFlow prefix -> what to read; a weights file -> its tensors.

`choose` holds the order in which a directory's files are preferred, local or on the hub. Used by
checkpoint.py and hub.py.
"""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autorel_jax.errors import InputError, listing, one_line
from autorel_jax.text.classes import VOCABULARIES
from autorel_jax.weights.adapter import CONFIG as ADAPTER
from autorel_jax.weights.disk import AGAIN, Refused, Tensors, open_weights

# What a directory is read from: the first of these that it holds; for a pattern, the only file that matches.
ORDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "flax_model.msgpack",
    "bert_model.ckpt.index",
    "*.safetensors",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.msgpack",
    "*.ckpt*.index",
    "*.ckpt",
)
# A trainer's files that only look like weights.
OTHER = ("training_args.bin", "optimizer.*", "scheduler.*", "scaler.*", "rng_state*")
UNREAD = {  # files of weights that are not read -> what to do
    "tf_model.h5": "with transformers before 5, AutoModelForSequenceClassification.from_pretrained(FOLDER, "
    "from_tf=True).save_pretrained(NEW) converts it",
    "rust_model.ot": "get the model's other files",
    "model.onnx": "get the model that it was exported from",
}
CONFIGS = ("config.json", "bert_config.json")


class Source(NamedTuple):
    """The files of one checkpoint."""

    weights: Path  # of a TensorFlow checkpoint: the prefix, without .index
    config: Path
    directory: Path  # where the tokenizer's files are
    adapter: Path | None = None  # the folder of a LoRA adapter of it


def choose(names: Iterable[str], place: str) -> str:
    """The file to read the weights from, among a directory's; `place` names the directory in messages."""
    every = list(names)
    names = [name for name in every if not any(fnmatchcase(name, other) for other in OTHER)]
    for pattern in ORDER:
        matches = sorted(name for name in names if fnmatchcase(name, pattern))
        if len(matches) > 1:
            raise InputError(f"{place} holds {', '.join(matches[:5])}; give the path of the one to read.")
        if matches:
            return matches[0]
    other = next((f" It has {name}: {what}." for name, what in UNREAD.items() if name in every), "")
    raise InputError(f"{place} holds no weights; looked for {', '.join(ORDER)}.{other}")


def locate(path: Path, config: Path | None = None) -> Source | None:
    """The files that a local path stands for, or None where nothing is there."""
    if path.is_dir():
        try:
            weights = path / chosen_in(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    elif path.exists() or _index(path).is_file():
        weights = path
    else:
        return None
    if weights.suffix == ".index" or ".data-" in weights.name:
        weights = weights.with_name(weights.name.removesuffix(".index").split(".data-")[0])
    config = config or _beside(weights)
    return Source(weights, config, tokenizer_folder(weights.parent, config.parent))


def chosen_in(folder: Path) -> str:
    """The file to read the weights from; where there is none, the message says what the folder is."""
    try:
        return choose((entry.name for entry in folder.iterdir()), str(folder))
    except InputError as error:
        raise InputError(f"{error}{folders_in(folder)}") from None


def folders_in(folder: Path) -> str:
    """What to say of a folder without weights that holds folders of adapters, or a Trainer's; else nothing."""
    adapters = sorted(entry.parent.name for entry in folder.glob(f"*/{ADAPTER}"))
    if adapters:
        return f" It has adapters in {listing(adapters)}: give one of these folders."
    numbered = [re.fullmatch(r"checkpoint-(\d+)", entry.name) for entry in folder.iterdir() if entry.is_dir()]
    found = sorted(int(match[1]) for match in numbered if match)
    if not found:
        return ""
    listed = ", ".join(f"checkpoint-{number}" for number in found[-5:])
    return (
        f" It is the output of a Trainer: give one of the folders in it, {listed}; trainer_state.json names the best."
    )


def read_tensors(weights: Path) -> Tensors:
    """Every tensor of a weights file, sharded or not, by its name in the file."""
    if not weights.exists() and _index(weights).is_file():
        from autorel_jax.weights.tf_checkpoint import read_tf

        return read_tf(weights)
    if weights.name.endswith(".index.json"):
        return _read_shards(weights)
    if weights.suffix == ".safetensors":
        return _read_safetensors(weights)
    if weights.suffix == ".msgpack":
        return _read_msgpack(weights)
    from autorel_jax.weights.torch_file import read_torch

    return read_torch(weights)


def _index(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def _beside(weights: Path) -> Path:
    for name in CONFIGS:
        if (weights.parent / name).is_file():
            return weights.parent / name
    raise InputError(f"{weights.parent} holds neither {' nor '.join(CONFIGS)}; copy it there, or name it: --config.")


def tokenizer_folder(*folders: Path) -> Path:
    """The first folder with a vocabulary: the weights' own, or else the config's."""
    return next((f for f in folders if any((f / name).is_file() for name in VOCABULARIES)), folders[0])


def _read_safetensors(path: Path) -> Tensors:
    import ml_dtypes  # noqa: F401 - teaches NumPy the name bfloat16
    from safetensors import SafetensorError, safe_open

    with open_weights(path):  # its messages are better
        try:
            with safe_open(path, framework="numpy") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except AttributeError as error:  # NumPy has no such type
            raise Refused(
                f"holds tensors of the type {error.name}, which are quantized; accepted: float64, float32, float16, "
                "bfloat16. Save the model in one of these with transformers"
            ) from None
        except (SafetensorError, TypeError, ValueError) as error:
            raise Refused(f"is no complete safetensors file: {one_line(error)}; {AGAIN}") from None


def _read_msgpack(path: Path) -> Tensors:
    from flax.serialization import msgpack_restore
    from flax.traverse_util import flatten_dict

    with open_weights(path) as file:
        raw = file.read()
    try:
        tree = msgpack_restore(raw)
        tensors = flatten_dict(tree, sep="/") if isinstance(tree, dict) else {"the file": tree}
    except Exception as error:  # msgpack's, NumPy's and Flax's own, of many kinds; of names that are none, a TypeError
        raise InputError(f"{path} is no complete Flax msgpack file: {one_line(error)}; {AGAIN}") from None
    for name, value in tensors.items():
        if not isinstance(value, np.ndarray):
            raise InputError(f"{path}: {name} is a {type(value).__name__}; expected a tree of arrays.")
    return tensors


def _read_shards(index: Path) -> Tensors:
    """The tensors of all the files that an index names; each must be in the file that the index says."""
    tensors: Tensors = {}
    for shard, names in _shards(index).items():
        path = index.parent / shard
        if not path.is_file():
            raise InputError(f"{index} names the shard {shard}, which is not in its folder; download it too.")
        part = read_tensors(path)
        missing = [name for name in names if name not in part]
        if missing:
            raise InputError(f"{path} lacks the tensor {missing[0]}, which {index.name} says is in it.")
        doubled = sorted(part.keys() & tensors.keys())
        if doubled:
            raise InputError(f"{path}: the tensor {doubled[0]} is in another shard of {index.name} as well.")
        tensors |= part
    return tensors


def _shards(index: Path) -> dict[str, list[str]]:
    """The shards that an index names, and the tensors in each. A shard is a plain file name, never a path."""
    with open_weights(index) as file:
        try:
            places = json.load(file)["weight_map"].items()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{index} is no index of shards ({one_line(error)}); expected a JSON weight_map."
            ) from None
    shards: dict[str, list[str]] = {}
    for name, shard in places:
        if not isinstance(shard, str) or not shard or Path(shard).name != shard or "\\" in shard:
            raise InputError(f"{index}: the tensor {name} is said to be in {shard!r}; expected a plain file name.")
        if not shard.endswith((".safetensors", ".bin")):
            raise InputError(f"{index}: the shard {shard} is neither .safetensors nor .bin.")
        shards.setdefault(shard, []).append(name)
    return shards
