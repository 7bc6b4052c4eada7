"""EvaluateConfig: how faithfulness is measured. The one home of the defaults of `evaluate` and of its command."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.faithfulness.naopc import BEAM, EXACT, MOST_UNITS
from autorel_jax.faithfulness.protocols import CHEAP, PROTOCOLS
from autorel_jax.faithfulness.units import MASK, PERTURBATIONS, UNKNOWN
from autorel_jax.options import check_options, option
from autorel_jax.text.unspaced import AUTO, SPLIT_WORDS

WORD, TOKEN = UNITS = ("word", "token")
RANDOM, DEFAULT = "random", ExplainConfig.method  # the methods with which all others are compared
ALL = "all"


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How faithfulness is measured."""

    methods: Sequence[Any] = option(
        (DEFAULT, "cp_lrp", "gradient_x_input", "generic_attention"),
        f"what is measured, with parameters as NAME:PARAMETER=VALUE:…; {RANDOM} and {DEFAULT} are always among them",
    )
    protocols: Sequence[str] = option((), f"what is measured of them, or {ALL} (default: the cheap ones)")
    perturb: Sequence[str] = option((MASK, UNKNOWN), "what becomes of words that are taken away")
    units: str = option(WORD, "what is taken away as one", choices=UNITS)
    limit: int | None = option(None, "texts, drawn at random (default: all)", count=True)
    naopc_texts: int = option(
        200,
        f"texts that naopc takes, the first drawn of those of 2 to {MOST_UNITS} units; bounds are exact up to {EXACT} "
        f"units, beyond by a beam of {BEAM}",
        count=True,
    )
    seed: int = option(0, "of the drawn texts, of ties, and of the intervals", least=0)
    resamples: int = option(1000, "of the bootstrap over texts, for intervals of 95 %", count=True)
    max_length: int | None = option(
        None, "tokens per text; longer texts are cut off (default: the model's)", count=True
    )
    batch_size: int | None = option(None, "texts in a batch (default: 32 on a CPU, else 256)", count=True)
    split_words: str = option(AUTO, "as of explain", choices=SPLIT_WORDS)
    split_punctuation: bool = option(False, "punctuation marks are words of their own")

    def __post_init__(self):
        check_options(self)
        for name, known in (("protocols", (*PROTOCOLS, ALL)), ("perturb", PERTURBATIONS)):
            check_names(name, getattr(self, name), known)
        if not self.perturb:
            raise InputError(f"perturb is empty; accepted: {', '.join(PERTURBATIONS)}.")
        if isinstance(self.methods, str) or not isinstance(self.methods, Sequence) or not self.methods:
            raise InputError(f"methods={self.methods!r}: expected a list of methods.")

    def chosen(self, labelled: bool) -> tuple[str, ...]:
        """The protocols; `labelled`: whether the texts have labels, without which some cannot be.

        Raises:
          InputError: one that needs labels was asked for by its name, and there are none.
        """
        without = [name for name in self.protocols if name != ALL and PROTOCOLS[name].needs_labels and not labelled]
        if without:
            raise InputError(
                f"The protocol {without[0]} needs labels, and the texts have none; name the column of them."
            )
        asked = tuple(PROTOCOLS) if ALL in self.protocols else tuple(dict.fromkeys(self.protocols)) or CHEAP
        return tuple(name for name in PROTOCOLS if name in asked and (labelled or not PROTOCOLS[name].needs_labels))


def check_names(name: str, given: Any, known: Sequence[str]) -> None:
    """Raises InputError unless it is a list of some of the known names."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"{name}={given!r}: expected a list of names; accepted: {', '.join(known)}.")
    for one in given:
        if one not in known:
            raise InputError(f"{name}: unknown {one!r}; accepted: {', '.join(known)}.")
