"""Torch names: what the pickle of a state dict may refer to, and our own function or record for each.

Nothing of torch is imported, and nothing is called but the functions in CALLS. Used by torch_pickle.py.
"""

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np

from autorel_jax.weights.disk import MAX_DIMS, Refused, shown

NOTHING = "nothing was run. Save model.state_dict() and give that file."

# torch's name of a dtype -> ours; the storage classes below are older and have names of their own.
DTYPES = {
    **{name: np.dtype(name) for name in ("float16", "float32", "float64", "complex64", "complex128", "bool")},
    **{name: np.dtype(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
}
STORAGES = {
    "FloatStorage": DTYPES["float32"],
    "DoubleStorage": DTYPES["float64"],
    "HalfStorage": DTYPES["float16"],
    "BFloat16Storage": DTYPES["bfloat16"],
    "LongStorage": DTYPES["int64"],
    "IntStorage": DTYPES["int32"],
    "ShortStorage": DTYPES["int16"],
    "CharStorage": DTYPES["int8"],
    "ByteStorage": DTYPES["uint8"],
    "BoolStorage": DTYPES["bool"],
    "ComplexFloatStorage": DTYPES["complex64"],
    "ComplexDoubleStorage": DTYPES["complex128"],
    "UntypedStorage": None,  # bytes; the tensor brings the dtype
    "_UntypedStorage": None,
}


@dataclasses.dataclass(frozen=True)
class Storage:
    """A block of memory in the file, or (in old files) a part of one: `count` elements from `start` on."""

    key: str
    dtype: np.dtype | None  # None: untyped, elements are bytes
    total: int  # elements of the whole block
    start: int
    count: int

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize if self.dtype else 1


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; offset and strides count elements, as in torch."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    lazy: str  # "conj" or "neg" where torch keeps an operation for later, else ""


@dataclasses.dataclass(frozen=True)
class Global:
    """A name of CALLS, STORAGES or DTYPES that the pickle refers to."""

    kind: str
    name: str


def resolve(module: str, name: str) -> Global:
    """The name as one of the few that we know."""
    if f"{module}.{name}" in CALLS:
        return Global("call", f"{module}.{name}")
    if module in ("torch", "torch.cuda", "torch.storage") and name in STORAGES:
        return Global("storage", name)
    if module == "torch" and name in DTYPES:
        return Global("dtype", name)
    raise Refused(f"refers to {shown(f'{module}.{name}')[1:-1]}, which is not part of a state dict; {NOTHING}")


def ordered_dict(pairs: list[Any] | None = None) -> dict[Any, Any]:
    """collections.OrderedDict(); Python 2 wrote the pairs as its argument."""
    pairs = expect([] if pairs is None else pairs, list)
    result: dict[Any, Any] = {}
    fill(result, [expect(pair, list) for pair in pairs])
    pairs.clear()  # so that a file which calls this again and again with one long list gains nothing
    return result


def tensor(storage, offset, shape, strides, _grad=False, _hooks=None, metadata=None, *, dtype=None) -> Tensor:
    """torch._utils._rebuild_tensor and _v2."""
    dtype = dtype or expect(storage, Storage).dtype
    shape, strides = expect(shape, tuple), expect(strides, tuple)
    if dtype is None or len(shape) != len(strides) or len(shape) > MAX_DIMS:
        raise TypeError
    flags = expect(metadata or {}, dict)
    lazy = next((name for name in ("conj", "neg") if flags.get(name)), "")
    (offset,) = whole_numbers(offset)
    return Tensor(expect(storage, Storage), offset, whole_numbers(*shape), whole_numbers(*strides), dtype, lazy)


def tensor_v3(storage, offset, shape, strides, grad, hooks, dtype, metadata=None) -> Tensor:
    """torch._utils._rebuild_tensor_v3: a typed view of untyped bytes."""
    return tensor(storage, offset, shape, strides, grad, hooks, metadata, dtype=DTYPES[expect(dtype, Global).name])


def parameter(data, *_grad_hooks_state) -> Tensor:
    """torch._utils._rebuild_parameter, also with state: the tensor alone."""
    return expect(data, Tensor)


def size(values=()) -> tuple[Any, ...]:
    """torch.Size."""
    return expect(values, tuple)


def device(*_name_and_index) -> None:
    """torch.device: of no use here."""


def expect(value: Any, kind: type) -> Any:
    """The value, which must be of that kind; `run` turns the TypeError into its message."""
    if not isinstance(value, kind):
        raise TypeError
    return value


def whole_numbers(*values: Any) -> tuple[int, ...]:
    """The values, which must be counts that fit 63 bits."""
    if any(type(value) is not int or not 0 <= value < 2**63 for value in values):
        raise ValueError
    return values


def fill(target: dict[Any, Any], pairs: Any) -> None:
    """Adds pairs; only plain keys, for the hash of a deeply nested tuple can overflow the C stack."""
    for key, value in pairs:
        if not isinstance(key, str | int | float | bytes | None):
            raise Refused(f"has a dict with a key {shown(key)}, which no state dict has; {NOTHING}")
        target[key] = value


CALLS = {
    "collections.OrderedDict": ordered_dict,
    "torch._utils._rebuild_tensor": tensor,
    "torch._utils._rebuild_tensor_v2": tensor,
    "torch._utils._rebuild_tensor_v3": tensor_v3,
    "torch._utils._rebuild_parameter": parameter,
    "torch._utils._rebuild_parameter_with_state": parameter,
    "torch.Size": size,
    "torch.device": device,
}
