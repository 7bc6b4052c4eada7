"""Memory: a PyTorch model or state dict that a program holds -> its tensors as NumPy arrays, and its config.

Nothing of torch is imported: a tensor knows how to become an array. Used by checkpoint.py.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.weights.disk import Tensors

WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}  # of PyTorch
SIZED = ("Linear", "Embedding", "Dropout")  # of torch.nn: their settings are sizes, which tensors show, or of training
OF_TRAINING = ("training", "gradient_checkpointing", "is_gradient_checkpointing", "dropout_prob", "inplace")
UNREAD = (
    *OF_TRAINING,
    "name_or_path",
    "attn_implementation",
    "n_layers",
    "layer_idx",
)  # settings that change no number
MODELS = "transformers.models."
BUFFERS = {"position_ids": "arange", "token_type_ids": "zeros"}  # that no file holds -> what PyTorch makes them by
OWN_HOOKS = ("transformers.", "accelerate.")  # that keep outputs, or move inputs to a device
PACKED = "_packed_params"  # what a quantized layer of PyTorch has in place of weight and bias


def is_model(value: Any) -> bool:
    """Whether it is a model or a state dict, and no path."""
    return isinstance(value, Mapping) or callable(getattr(value, "state_dict", None))


def tensors_of(value: Any) -> Tensors:
    """The tensors of a model or a state dict, as float arrays on the host.

    Raises:
      InputError: a value that is no tensor, or is quantized; a model of sentence-transformers.
    """
    if type(value).__module__.startswith("sentence_transformers."):
        raise InputError(
            f"a {type(value).__name__} of sentence-transformers is several modules; write it by its save_pretrained() "
            "and load that directory."
        )
    state = value if isinstance(value, Mapping) else value.state_dict()
    for name, tensor in state.items():
        if PACKED in str(name) or getattr(tensor, "is_quantized", False) is True:
            raise InputError(
                f"{name} is of a quantized model, which is not read; give the model of floats that it was made from."
            )
    return {str(name): array_of(tensor, str(name)) for name, tensor in state.items()}


def array_of(tensor: Any, name: str) -> np.ndarray:
    """One tensor; bfloat16, which NumPy lacks, as float32."""
    if isinstance(tensor, np.ndarray):
        return tensor
    try:
        tensor = tensor.detach().cpu()
        return np.asarray((tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy())
    except Exception as error:  # of whatever library it is
        raise InputError(f"{name} is a {type(tensor).__name__}, not a tensor ({one_line(error)}).") from None


def computed_otherwise(value: Any) -> tuple[str, ...]:
    """What to say of a model whose forward is not one of transformers: it is not read, whatever it computes.

    Raises:
      InputError: a module or a buffer that the model's config would not make, such as another activation; attention
        by a function of one's own.
    """
    if isinstance(value, Mapping):
        return ()
    value = unwrapped(value)
    owner = next((kind for kind in type(value).__mro__ if "forward" in vars(kind)), type(value))
    if "forward" in vars(value) or not owner.__module__.startswith("transformers."):
        return (f"the {type(value).__name__} has a forward of its own, which is not read: computed as its config says",)
    with sys.modules["torch"].device("meta"):  # shapes alone
        expected = modules_of(owner(value.config))
    found = modules_of(value)
    for name, kind in expected.items():
        if found.get(name) != kind:
            raise InputError(
                f"{name} of the {type(value).__name__} is {found.get(name)}, but its config makes {kind}, and that is "
                "what would be computed: of a model, config and tensors are read, not modules that were put in later."
            )
    check_attention(value)
    rounded = tuple(check_buffers(value))
    changed = [name or "the model" for name, module in value.named_modules() if is_changed(module)]
    hooked = (
        f"{name} of the {type(value).__name__} has a hook or a forward of its own, not read here" for name in changed
    )
    return (*rounded[:1], *itertools.islice(hooked, 1))


def check_buffers(value: Any) -> Iterator[str]:
    """What to say of buffers that no file holds, such as rotary frequencies, where a model rounds them.

    Raises:
      InputError: one is not what the config makes.
    """
    torch = sys.modules["torch"]
    for path, module in value.named_modules():
        names = [name for name in module._non_persistent_buffers_set if module._buffers.get(name) is not None]
        rotary = names and not any(True for _ in module.parameters())  # made of the config alone
        fresh = made_again(module, value.config) if rotary else {}
        for name in names:
            found = module._buffers[name].cpu()
            made = getattr(torch, BUFFERS[name])(found.shape[-1], device="cpu") if name in BUFFERS else fresh.get(name)
            if made is None or are_near(found.to(made.dtype), made):
                continue
            halves = (made.to(kind).to(made.dtype) for kind in (torch.bfloat16, torch.half))
            if any(are_near(found.to(made.dtype), half) for half in halves):
                yield f"{path}.{name} of the {type(value).__name__} is in half precision; exact numbers are read"
            else:
                raise InputError(
                    f"{path}.{name} of the {type(value).__name__} is not what its config makes, and that is what would "
                    "be computed: of a model, config and tensors are read, not buffers that were changed."
                )


def are_near(found: Any, made: Any) -> bool:
    """Whether a buffer is as it was made; of one with a leading axis each row."""
    return found.shape[-1:] == made.shape[-1:] and sys.modules["torch"].allclose(found, made)


def made_again(module: Any, config: Any) -> Mapping[str, Any]:
    """The buffers of such a module, made of the config; none in releases of transformers that make it of more."""
    with sys.modules["torch"].device("cpu"):
        try:
            return type(module)(config=config)._buffers
        except TypeError:
            return {}


def check_attention(value: Any) -> None:
    """Raises InputError where attention is computed by a function that transformers does not bring."""
    known = getattr(sys.modules.get("transformers.modeling_utils"), "ALL_ATTENTION_FUNCTIONS", {})
    name = getattr(value.config, "_attn_implementation", None)
    function = known.get(name) if isinstance(name, str) else None
    function = getattr(function, "func", function)  # a partial's
    if function is not None and not str(getattr(function, "__module__", "")).startswith("transformers."):
        raise InputError(
            f"attention of the {type(value).__name__} is computed by {name!r}, a function that transformers does not "
            "bring, and which is not read; set_attn_implementation('eager') where it computes the same."
        )


def unwrapped(value: Any) -> Any:
    """The model that PyTorch's wrappers hold."""
    while type(value).__name__ in WRAPPERS:
        value = getattr(value, WRAPPERS[type(value).__name__])
    return value


def is_changed(module: Any) -> bool:
    """Whether a hook or a forward was put on a module by other than transformers and accelerate."""
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    own = [hook for hook in hooks if not str(getattr(hook, "__module__", "")).startswith(OWN_HOOKS)]
    return bool(own) or ("forward" in vars(module) and not hasattr(module, "_hf_hook"))


def modules_of(model: Any) -> dict[str, str]:
    """The modules of a PyTorch model: name -> kind, with settings such as an epsilon or the number of heads."""
    return {name: kind_of(module) for name, module in model.named_modules(remove_duplicate=False) if name}


def is_setting(value: Any) -> bool:
    """Whether it is a number, a string, or a list of these."""
    single = int | float | str
    return isinstance(value, single) or (isinstance(value, list | tuple) and all(isinstance(v, single) for v in value))


def kind_of(module: Any) -> str:
    """The class of a module, and its settings but for sizes."""
    home, kind = type(module).__module__, type(module).__name__
    if not home.startswith(("torch.nn.modules.", "transformers.")):
        kind = f"{home}.{kind}"
    if kind in SIZED:
        scaled = getattr(module, "max_norm", None)  # of an Embedding, whose rows are then scaled
        return kind if scaled is None else f"{kind}(max_norm={scaled})"
    values = {
        name: value
        for name, value in sorted(vars(module).items())
        if is_setting(value) and not name.startswith("_") and name not in UNREAD
    }
    listed = ", ".join(f"{name}={value}" for name, value in values.items())
    return f"{kind}({listed or module.extra_repr()})"


def named(raw: dict[str, Any], value: Any) -> dict[str, Any]:
    """The content of config.json with the architecture that a model's class is, which its config may not know yet.

    A class of one's own is that of transformers that it is made from, if that has a head.
    """
    classes = [kind for kind in type(unwrapped(value)).__mro__ if kind.__module__.startswith(MODELS)]
    name = classes[0].__name__ if classes else ""
    return raw | {"architectures": [name]} if name and not name.endswith("PreTrainedModel") else raw


def config_of(value: Any, config: Any) -> Mapping[str, Any]:
    """The content of config.json: `config` (a dict, or transformers' object), else the model's own.

    Raises:
      InputError: there is none.
    """
    found = config if config is not None else getattr(unwrapped(value), "config", None)
    found = found.to_dict() if hasattr(found, "to_dict") else found
    if not isinstance(found, Mapping):
        raise InputError(f"a {type(value).__name__} has no config; give config=, a path, a dict or model.config.")
    return found
