"""ExplainConfig: how texts are explained. The one home of the defaults of `explain` and of the explain command."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from autorel_jax.errors import InputError, check_count

TRUNCATE, WINDOWS = LONG = ("truncate", "windows")  # what becomes of long texts
BATCH_SIZES = {"cpu": 32}  # 8, 16 and 32 differ by 3 % a text on two CPU cores (T = 32)
BATCH_SIZE = 256  # on each device of another kind; an estimate


@dataclasses.dataclass(frozen=True)
class ExplainConfig:
    """How texts are explained: the one home of the defaults of `explain` and of the explain command."""

    method: Any = "attnlrp"  # a name, a Composite (lrp/) or a Method (methods/); Achtibat et al. 2024: most faithful
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # where not the defaults
    target: Any = "predicted"  # see targets.py
    read_at: str | None = None  # None: the first point that the method can be read at
    audit: bool = False  # whether each Explanation has a ledger: where the target's value went
    readouts: Sequence[str] = ()  # relevance inside the model, names in lrp/taps.py; docs/ledger.md has the shapes
    neurons: int = 10  # of each layer, by |relevance|, for the read-out of that name
    max_length: int | None = None  # tokens per text incl. [CLS] and [SEP]; None: as many as the model has positions
    batch_size: int | None = None  # texts; None: as suits the device, see BATCH_SIZES. Halved where memory runs out
    window: int = 64  # batches that are tokenized, sorted by length and held in memory together
    split_punctuation: bool = False  # True: punctuation marks are words of their own
    long: str = TRUNCATE  # texts beyond max_length: cut off, or read in overlapping windows (windows.py)
    stride: int | None = None  # word pieces from the start of one window to that of the next; None: half a window

    def __post_init__(self):
        for name in ("batch_size", "window", "max_length", "stride", "neurons"):
            value = getattr(self, name)
            optional = name not in ("window", "neurons") and value is None
            if not optional:
                check_count(name, value)
        if not isinstance(self.parameters, Mapping):
            raise InputError(f"parameters={self.parameters!r}: expected a dict of names and values.")
        if self.stride is not None and self.long != WINDOWS:
            raise InputError(f"stride={self.stride} is of windows; give long={WINDOWS!r} with it.")
        if self.long not in LONG:
            raise InputError(f"long={self.long!r}: accepted: {', '.join(LONG)}.")
        if isinstance(self.readouts, str) or not isinstance(self.readouts, Sequence):
            raise InputError(f"readouts={self.readouts!r}: expected a list of names of read-outs.")
        if self.long == WINDOWS and (self.audit or self.readouts):
            raise InputError(
                f"long={WINDOWS!r} has no audit and no read-outs: they are of one window; use {TRUNCATE!r}."
            )
