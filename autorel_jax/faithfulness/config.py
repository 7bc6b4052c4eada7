"""EvaluateConfig: how faithfulness is measured. The one home of the defaults of `evaluate` and of its command."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.explaining.config import LONG, TRUNCATE, WINDOWS, ExplainConfig
from autorel_jax.explaining.given import texts_of
from autorel_jax.faithfulness.naopc import BEAM, EXACT, MOST_UNITS
from autorel_jax.faithfulness.protocols import CHEAP, PROTOCOLS
from autorel_jax.faithfulness.units import MASK, PERTURBATIONS, UNKNOWN
from autorel_jax.options import check_options, option
from autorel_jax.text.unspaced import AUTO, SPLIT_WORDS

WORD, TOKEN = UNITS = ("word", "token")
RANDOM, DEFAULT = "random", ExplainConfig.method  # the methods with which all others are compared
ALL = "all"
MARKS, CHANGED = KEPT = ("marks", "changed")  # beside a text: what people marked; its copy with few other words


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How faithfulness is measured."""

    methods: Sequence[Any] = option(
        (DEFAULT, "cp_lrp", "gradient_x_input", "generic_attention"),
        f"what is measured, with parameters as NAME:PARAMETER=VALUE:…; {RANDOM} and {DEFAULT} are always among them",
    )
    references: Sequence[Any] = option((), "other texts, of every label, with which contrast_cat contrasts a text")
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
    sanity: bool = option(
        False, "also explain with parameters in disorder, in bfloat16 and in other batches, and compare the scores"
    )
    seed: int = option(0, "of the drawn texts, of ties, and of the intervals", least=0)
    resamples: int = option(1000, "of the bootstrap over texts, for intervals of 95 %", count=True)
    max_length: int | None = option(None, "tokens per text (default: the model's)", count=True)
    batch_size: int | None = option(None, "texts in a batch (default: 32 on a CPU, else 256)", count=True)
    long: str = option(
        TRUNCATE, "longer texts are cut off, or read in windows, which only protocols do that take nothing away", LONG
    )
    split_words: str = option(AUTO, "as of explain", choices=SPLIT_WORDS)
    split_punctuation: bool = option(False, "punctuation marks are words of their own")

    def __post_init__(self):
        check_options(self)
        object.__setattr__(self, "references", texts_of(self.references, "references"))
        for name, known in (("protocols", (*PROTOCOLS, ALL)), ("perturb", PERTURBATIONS)):
            check_names(name, getattr(self, name), known)
        if not self.perturb:
            raise InputError(f"perturb is empty; accepted: {', '.join(PERTURBATIONS)}.")
        if isinstance(self.methods, str) or not isinstance(self.methods, Sequence) or not self.methods:
            raise InputError(f"methods={self.methods!r}: expected a list of methods.")

    def chosen(self, labelled: bool, marked: bool, changed: bool) -> tuple[str, ...]:
        """The protocols; `labelled`, `marked`, `changed`: whether the texts have labels, marks, changed copies.

        Raises:
          InputError: one was asked for by its name and there is not what it needs, or long texts are read in windows.
        """

        def why_not(name: str) -> str | None:
            protocol = PROTOCOLS[name]
            if protocol.needs_labels and not labelled:
                return "needs one true label for each text: name their column, for a model of one label among several"
            if protocol.needs_marks and not marked:
                return "needs the words that people marked; name the column of them"
            if protocol.needs_changed and not changed:
                return "needs a copy of each text with other words; name the column of it"
            if (protocol.perturbs or protocol.needs_changed) and self.long == WINDOWS:
                return f"computes logits of other texts, which is not done in windows; leave out long={WINDOWS!r}"
            return None

        for name in self.protocols:
            if name != ALL and (reason := why_not(name)):
                raise InputError(f"The protocol {name} {reason}.")
        every = tuple(name for name in PROTOCOLS if name in self.protocols or not PROTOCOLS[name].by_name)
        asked = every if ALL in self.protocols else self.protocols or CHEAP
        found = tuple(name for name in PROTOCOLS if name in asked and not why_not(name))
        if not found:
            raise InputError(f"long={WINDOWS!r} leaves no protocol but those that need marks, and there are none.")
        self._check_read(found, changed and bool(self.protocols) and ALL not in self.protocols)
        return found

    def check_marks(self) -> None:
        """Raises InputError for marks that were given, not brought by a file's layout, and that no protocol reads."""
        named = [name for name in self.protocols if name != ALL]
        if named and ALL not in self.protocols and not any(PROTOCOLS[name].needs_marks for name in named):
            raise InputError(f"marks: none of the protocols {', '.join(named)} reads it; leave it out.")

    def _check_read(self, found: Sequence[str], changed: bool) -> None:
        """Raises InputError for what none of the protocols reads; `changed`: whether named ones got copies."""
        plain, protocols = type(self), [PROTOCOLS[name] for name in found]
        for what, given, read in (
            ("changed", changed, any(one.needs_changed for one in protocols)),
            ("perturb", self.perturb != plain.perturb, any(one.perturbs for one in protocols)),
            ("naopc_texts", self.naopc_texts != plain.naopc_texts, "naopc" in found),
        ):
            if given and not read:
                raise InputError(f"{what}: none of the protocols {', '.join(found)} reads it; leave it out.")


def check_names(name: str, given: Any, known: Sequence[str]) -> None:
    """Raises InputError unless it is a list of some of the known names."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"{name}={given!r}: expected a list of names; accepted: {', '.join(known)}.")
    for one in given:
        if one not in known:
            raise InputError(f"{name}: unknown {one!r}; accepted: {', '.join(known)}.")
