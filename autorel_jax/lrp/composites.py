"""Composites: which rule stands for which op, and with which parameters, by name. The registry of composites.

To add one, write what differs from another (see `CP_LRP`) and list it in COMPOSITES; a program of yours can pass its
own to `explain`, or `register` it.
"""

import dataclasses
import inspect
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from autorel_jax.errors import LARGEST_FLOAT, InputError, one_line
from autorel_jax.families.family import BEYOND
from autorel_jax.lrp import bert_lrp, gates, linear, rules
from autorel_jax.lrp.own import code_of, is_own
from autorel_jax.lrp.taps import READOUTS, WORD_PARTS, whole
from autorel_jax.model import ops
from autorel_jax.model.ops import PLAIN, Array, Ops, Values

WORD_EMBEDDINGS, EMBEDDING_SUM, EMBEDDINGS = READ_POINTS = ("word_embeddings", "embedding_sum", "embeddings")
"""Where relevance is read: at the looked-up vectors, at their sum with those of position and type (before the
embedding LayerNorm), or at the output of that LayerNorm."""
PLAIN_RULE = "plain"  # the name of an op's own backward
LEAST = {"alpha": 1.0}  # the smallest value of a parameter, by name: β = α - 1; 0 for the others
MOST = {"blend": 1.0}  # likewise the largest
Value = float | Sequence[float]  # of a parameter: one number, or one for each layer


def passed(x: Array) -> Array:
    """x, forward and backward."""
    return x


@dataclasses.dataclass(frozen=True)
class Boundary:
    """What a composite carries backwards, and how relevance turns into it and back.

    Attributes:
      logits: at the logits: the identity forward; backward, relevance [B, C] -> what is carried.
      embeddings: at the input: the identity forward; backward, what is carried -> relevance [B, T, D].
      seed: (logits, weights) -> what is carried at the logits to explain the target weights · logits.
    """

    logits: Callable[[Array], Array]
    embeddings: Callable[[Array], Array]
    seed: Callable[[Array, Array], Array]


MULTIPLIER = Boundary(rules.to_multiplier, rules.to_relevance, lambda logits, weights: weights)
RELEVANCE = Boundary(passed, passed, lambda logits, weights: logits * weights)
RULES = {  # what a composite file can name, besides PLAIN_RULE: boundary -> op -> its rules
    MULTIPLIER: {
        "linear": (linear.epsilon, linear.gamma, linear.alpha_beta, linear.zplus),
        "contract": (rules.halved, rules.blended),
        "add": (rules.ratio,),
        "softmax": (rules.detached,),
        "layer_norm": (rules.frozen, rules.transparent),
        "activation": (rules.secant,),
        "position_product": (rules.halved,),
        "position_bias": (rules.ratio,),
        "gate": (gates.gate_halved, gates.gate_detached),
    },
    RELEVANCE: {
        "linear": (bert_lrp.signed_weights,),
        "activation": (bert_lrp.skipped,),
        "attention": (bert_lrp.jacobian,),
        "residual": (bert_lrp.whole_block,),
    },
}


@dataclasses.dataclass(frozen=True)
class Composite:
    """A method of explanation: an Ops table of rules, what it carries, and its parameters.

    Hashed by value, but for its name and what was `changed`: values travel as arrays, so that one compiled program
    serves all of them.

    Attributes:
      ops: the table; an op that is not replaced keeps its plain backward.
      boundary: MULTIPLIER or RELEVANCE.
      reads: the points where its relevance can be read, the default first.
      every_query: whether a rule looks at every query of the last layer; see Bert.
      name: under which it is registered and reported.
      changed: op -> parameter -> value, where it is not the rule's default.
    """

    ops: Ops
    boundary: Boundary = MULTIPLIER
    reads: tuple[str, ...] = READ_POINTS
    every_query: bool = False
    name: str = dataclasses.field(default="unnamed", compare=False)
    changed: Mapping[str, Mapping[str, Value]] = dataclasses.field(default_factory=dict, compare=False)
    diagnostics: ClassVar[tuple[str, ...]] = ()  # it measures nothing of itself
    worst: ClassVar[Mapping[str, Any]] = {}
    contrasts: ClassVar[bool] = False

    @property
    def rules(self) -> dict[str, str]:
        """op -> the name of its rule."""
        return {op: rule_name(op, getattr(self.ops, op)) for op in OPS}

    @property
    def parameters(self) -> dict[str, dict[str, Value]]:
        """op -> parameter -> value, for each op whose rule has parameters."""
        defaults = {op: defaults_of(op, getattr(self.ops, op)) for op in OPS}
        return {op: {**found, **self.changed.get(op, {})} for op, found in defaults.items() if found}

    def derive(self, name: str, **rules: Callable[..., Array] | str) -> "Composite":
        """This composite under another name, with other rules for some ops: `ATTNLRP.derive("mine", add="ratio")`.

        A rule is a function, or the name of one that carries what this composite carries; "plain" is the op's own.

        Raises:
          InputError: there is no such op, or no such rule for it.
        """
        refuse_unknown("op", rules, OPS)
        rules = {op: rule if callable(rule) else rule_named(self, op, rule) for op, rule in rules.items()}
        table = dataclasses.replace(self.ops, **rules)
        changed = {op: values for op, values in self.changed.items() if op not in rules}
        return dataclasses.replace(self, ops=table, name=name, changed=changed)

    def set(self, values: Mapping[str, Value] | None = None, **more: Value) -> "Composite":
        """This composite with other values of parameters: `set(gamma=0.1)`, `set({"linear.gamma": 0.1})`.

        A value is a number, or a list of one for each layer. A name without an op means every rule that has it.

        Raises:
          InputError: there is no such parameter, or a value that it cannot have.
        """
        known, changed = self.parameters, {op: dict(given) for op, given in self.changed.items()}
        for key, value in {**(values or {}), **more}.items():
            op, _, name = str(key).rpartition(".")
            places = [place for place, given in known.items() if op in ("", place) and name in given]
            if not places:
                raise InputError(f"{self.name} has no parameter {key!r}; it has {listed(known)}.")
            for place in places:
                changed.setdefault(place, {})[name] = checked(key, value, *bounds(name))
        return dataclasses.replace(self, changed=changed)

    def values(self, config: Any, ids: Mapping[str, int | None] | None = None) -> Values:
        """The parameters as arrays, scalar or [L], in the precision of JAX's floats.

        Args:
          config: of the model.
          ids: of no use to rules.

        Raises:
          InputError: a list of values that is not one for each of the model's layers.
        """
        arrays = {
            op: {name: np.asarray(value, jnp.result_type(float)) for name, value in given.items()}
            for op, given in self.parameters.items()
        }
        layers = config.depth
        for op, given in arrays.items():
            for name, value in given.items():
                if value.shape not in ((), (layers,)):
                    raise InputError(
                        f"{op}.{name} has {len(value)} values but the model has {layers} layers; give one number, or "
                        "one for each layer."
                    )
        return arrays

    def record(self) -> dict[str, Value]:
        """The parameters for a report, by name; as `op.name` where two rules have the name with different values."""
        found: dict[str, Value] = {}
        for op, given in self.parameters.items():
            for name, value in given.items():
                others = [values[name] for values in self.parameters.values() if name in values]
                found[name if all(other == value for other in others) else f"{op}.{name}"] = value
        return found

    def content(self) -> Any:
        """All that makes the composite, as JSON; its name alone does not, as any composite can be registered by it."""
        table = {op: getattr(self.ops, op) for op in OPS}
        codes = {op: code_of(rule) for op, rule in table.items() if is_own(rule)}
        return [self.name, self.rules, self.parameters, *([codes] if codes else [])]

    def check(self, settings: Any) -> None:
        """Raises InputError for a model that the rules are not for, a read-out that does not exist, and the like."""
        able = ", ".join(name for name, composite in COMPOSITES.items() if composite.boundary is MULTIPLIER)
        beyond = settings.config.value("beyond")
        if self.boundary is RELEVANCE and beyond:
            raise InputError(
                f"{self.name} is for layers as BERT's: it has no rule for {' and '.join(map(BEYOND.get, beyond))}, "
                f"which {settings.config.family.name} has. Methods for this model: {able}."
            )
        if not (settings.audit or settings.readouts):
            return
        if self.boundary is not MULTIPLIER:
            raise InputError(
                f"{self.name} has no audit and no read-outs: its rules rescale relevance and add the gradient of "
                f"whole sub-blocks, so that what an op absorbs is not defined. Methods that have them: {able}."
            )
        if op := whole(self.ops):
            raise InputError(
                f"{self.name} has no audit and no read-outs: its rule for {op} stands for several ops, between which "
                f"nothing can be read. Methods that have them: {able}."
            )
        for name in settings.readouts:
            if name not in READOUTS:
                raise InputError(f"Unknown read-out {name!r}. Available: {', '.join(READOUTS)}.")
            if name in WORD_PARTS and settings.read_at != WORD_EMBEDDINGS:
                raise InputError(
                    f"The read-out {name!r} needs read_at={WORD_EMBEDDINGS!r}; at {settings.read_at!r} the relevance "
                    f"of {name} is a part of the tokens'."
                )

    def units(self, rows: Sequence[Any], shape: tuple[int, int]) -> None:
        """None: rules switch nothing off."""

    def attribute(self, batch: Any, values: Values) -> Any:
        """The relevance of a TargetedBatch's targets; see attribution/targeted_batch.py."""
        return batch.relevance(values)

    def doubts(self, outcome: Any) -> Iterator[str]:
        """Of an Outcome: a number below 0 whose parts the scores are."""
        lowest = 0.0
        if self.boundary is RELEVANCE:  # its rules start from R = logit, sign and all
            lowest = outcome.logits[outcome.weights != 0].min() if outcome.is_linear else outcome.logits.min()
        if lowest < 0:
            yield f"a logit of the target is negative ({lowest:.3g}), which flips the signs of {self.name}"
        elif outcome.is_linear and outcome.value < 0:
            yield f"the target's logit is negative ({outcome.value:.3g}): the scores sum towards a number below 0"

    def __str__(self) -> str:
        rows = [(op, rule, self.parameters.get(op, {})) for op, rule in self.rules.items()]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines = [
            f"{op:<{widths[0]}}  {rule:<{widths[1]}}  {', '.join(f'{name} = {value}' for name, value in given.items())}"
            for op, rule, given in rows
        ]
        return "\n".join(line.rstrip() for line in lines)


OPS = tuple(field.name for field in dataclasses.fields(Ops) if field.name != "tap")  # those that have rules


def rule_named(base: Composite, op: str, name: Any) -> Callable[..., Array]:
    """The rule of that name for an op, among those that carry what the base carries."""
    known = {rule.__name__: rule for rule in RULES.get(base.boundary, {}).get(op, ())} | {
        PLAIN_RULE: getattr(PLAIN, op)
    }
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{op} has no rule {name!r} on the base {base.name}; available: {', '.join(known)}.")
    return known[name]


def refuse_unknown(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises InputError for the first name that is not known."""
    for name in given:
        if name not in known:
            raise InputError(f"unknown {what} {name!r}; available: {', '.join(known)}.")


def rule_name(op: str, rule: Callable[..., Array]) -> str:
    """The name of an op's rule, as a composite file gives it."""
    return PLAIN_RULE if rule is getattr(PLAIN, op) else rule.__name__


def defaults_of(op: str, rule: Callable[..., Array]) -> dict[str, float]:
    """The parameters of a rule: its arguments with a default that its op does not have."""
    own = inspect.signature(getattr(ops, op)).parameters
    found = inspect.signature(rule).parameters.values()
    return {p.name: p.default for p in found if p.default is not p.empty and p.name not in own}


def bounds(name: str) -> tuple[float, float]:
    """The smallest and the largest value of a parameter."""
    return LEAST.get(name, 0.0), MOST.get(name, LARGEST_FLOAT)


def checked(key: str, value: Any, least: float, most: float = LARGEST_FLOAT) -> Value:
    """A parameter's value as a float or a tuple of floats; an InputError says which it can have."""
    many = np.ndim(value) == 1 and np.size(value) > 0
    found = [item.item() if isinstance(item, np.generic) else item for item in (value if many else [value])]
    for item in found:
        number = isinstance(item, numbers.Real) and not isinstance(item, bool)
        if not number or not least <= item <= most:  # NaN is in no range
            accepted = (
                f"a number of at least {least:g}" if most == LARGEST_FLOAT else f"a number from {least:g} to {most:g}"
            )
            raise InputError(f"{key}={one_line(value)}: expected {accepted}, or a list of one for each layer.")
    return tuple(map(float, found)) if many else float(found[0])


def listed(parameters: Mapping[str, Mapping[str, Value]]) -> str:
    """The names of parameters, for an error."""
    return ", ".join(f"{op}.{name}" for op, given in parameters.items() for name in given) or "none"


GRADIENT = Composite(PLAIN, Boundary(passed, passed, lambda logits, weights: weights), name="gradient")
"""The gradient itself, not multiplied with the input: what methods of attribution/methods/ compute with."""
GRADIENT_X_INPUT = Composite(PLAIN, name="gradient_x_input")
ATTNLRP = GRADIENT_X_INPUT.derive(
    "attnlrp",
    activation=rules.secant,
    contract=rules.halved,
    gate=gates.gate_halved,
    layer_norm=rules.frozen,
)
CP_LRP = ATTNLRP.derive("cp_lrp", softmax=rules.detached, contract=ops.contract)
BERT_LRP = Composite(PLAIN, RELEVANCE, reads=(EMBEDDINGS,)).derive(
    "bert_lrp", linear=bert_lrp.signed_weights, activation=bert_lrp.skipped, residual=bert_lrp.whole_block
)
BERT_LRP_JACOBIAN = dataclasses.replace(
    BERT_LRP.derive("bert_lrp_jacobian", attention=bert_lrp.jacobian), every_query=True
)

COMPOSITES = {
    made.name: made
    for made in (
        ATTNLRP,
        CP_LRP,
        ATTNLRP.derive("blend", contract=rules.blended),
        ATTNLRP.derive("epsilon", linear=linear.epsilon),
        ATTNLRP.derive("gamma", linear=linear.gamma),
        ATTNLRP.derive("alpha_beta", linear=linear.alpha_beta),
        ATTNLRP.derive("zplus", linear=linear.zplus),
        GRADIENT_X_INPUT,
        BERT_LRP,
        BERT_LRP_JACOBIAN,
    )
}


def composite(method: str | Composite) -> Composite:
    """The composite of that name, or itself; an InputError lists the names there are."""
    if isinstance(method, Composite):
        return method
    if not isinstance(method, str) or method not in COMPOSITES:
        raise InputError(f"Unknown method {method!r}. Available: {', '.join(COMPOSITES)}.")
    return COMPOSITES[method]


def register(made: Composite) -> Composite:
    """Adds a composite to COMPOSITES, so that its name can be given wherever a method is asked for.

    Raises:
      InputError: its name is taken.
    """
    if made.name in COMPOSITES:
        raise InputError(f"The name {made.name!r} is taken; choose another than {', '.join(COMPOSITES)}.")
    COMPOSITES[made.name] = made
    return made
