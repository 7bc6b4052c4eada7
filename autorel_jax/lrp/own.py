"""Own: what a function that a user wrote does, for fingerprints; two functions of one name may differ.

Used by composites.py. What such a function calls by a global name is not followed.
"""

import re
import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

PACKAGE = __name__.partition(".")[0]


def is_own(rule: Callable[..., Any]) -> bool:
    """Whether a rule comes from outside the package."""
    return (getattr(rule, "__module__", None) or "").partition(".")[0] != PACKAGE


def code_of(value: Any) -> Any:
    """A function as JSON: its code, its defaults and what it closes over, of a custom_vjp all three; else `repr`."""
    if isinstance(value, types.CodeType):
        return [value.co_code.hex(), value.co_names, [code_of(one) for one in value.co_consts]]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [code_of(one) for one in (value.__code__, value.__defaults__, value.__kwdefaults__, *cells)]
    if isinstance(value, jax.custom_vjp):
        return [code_of(part) for part in (value.fun, value.fwd, value.bwd)]
    if isinstance(value, list | tuple):
        return [code_of(one) for one in value]
    if isinstance(value, np.ndarray | jax.Array):  # whose repr leaves numbers out
        return [str(value.dtype), value.shape, np.asarray(value).tobytes().hex()]
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))  # another process has other addresses
