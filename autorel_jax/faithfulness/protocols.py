"""Protocols: the name of a protocol -> its measurement, and what its numbers mean. The one home of these facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from autorel_jax.faithfulness import curves, naopc, people, ranks, shortcuts
from autorel_jax.faithfulness.asking import Measurement
from autorel_jax.faithfulness.curves import Scored

UP, DOWN = "higher", "lower"  # which of two numbers is better


class Measure(NamedTuple):
    """A number of a protocol."""

    name: str
    better: str
    meaning: str
    shown: bool = True  # in tables; the others are in the JSON


class Protocol(NamedTuple):
    """A measurement, and its numbers."""

    measurement: Callable[[Scored], Measurement] | None  # None: not of one text alone, see run.py
    about: str
    measures: tuple[Measure, ...]
    needs_labels: bool = False
    cheap: bool = True  # a few tens of passes for each text
    needs_marks: bool = False
    needs_changed: bool = False
    perturbs: bool = True  # whether words are taken away
    by_name: bool = False  # whether it is measured only where it is asked for by its name


PROTOCOLS = {
    "curves": Protocol(
        curves.curves,
        "the target's probability while words leave in eleven steps, in both orders",
        (
            Measure(
                "auac",
                UP,
                "area under the probability while the least relevant words leave; the same as the area "
                "while words come into an empty text, the most relevant first (AUAC, LeRF)",
            ),
            Measure("morf", DOWN, "area while the most relevant words leave first (MoRF)"),
            Measure("between", UP, "auac minus morf"),
        ),
    ),
    "au_mse": Protocol(
        curves.au_mse,
        "how much the logits change while words leave by the size of their score, the smallest first",
        (Measure("au_mse", DOWN, "area under the mean squared change of the logits"),),
    ),
    "eraser": Protocol(
        curves.eraser,
        "what the target loses without the highest scores, and with them alone",
        (
            Measure(
                "comprehensiveness", UP, "probability lost without the top 1, 5, 10, 20 and 50 % of the words, mean"
            ),
            Measure("sufficiency", DOWN, "probability lost with these words alone"),
            Measure("comprehensiveness_logit", UP, "likewise of the logit", False),
            Measure("sufficiency_logit", DOWN, "likewise of the logit", False),
            Measure("comprehensiveness_tenths", UP, "in steps of 10 %, to 100 %", False),
            Measure("sufficiency_tenths", DOWN, "in steps of 10 %, to 100 %", False),
            Measure("comprehensiveness_tenths_logit", UP, "likewise of the logit", False),
            Measure("sufficiency_tenths_logit", DOWN, "likewise of the logit", False),
        ),
    ),
    "leave_one_out": Protocol(
        ranks.leave_one_out,
        "rank correlation of the scores with what the logit loses without each word alone",
        (Measure("leave_one_out", UP, "Spearman's, mean over texts where it is defined"),),
    ),
    "word_deletion": Protocol(
        curves.word_deletion,
        "accuracy on texts that were right, without their 1 to 10 highest words",
        (Measure("accuracy", DOWN, "mean over 1 to 10 words"),),
        needs_labels=True,
    ),
    "shapley": Protocol(
        ranks.shapley,
        f"rank correlation of the scores with exact Shapley values, texts of up to {ranks.MOST_UNITS} words",
        (Measure("shapley", UP, "Spearman's, mean over texts where it is defined"),),
        cheap=False,
    ),
    "naopc": Protocol(
        naopc.naopc,
        f"AOPC between that of the worst and of the best order, texts of 2 to {naopc.MOST_UNITS} words: the one "
        "protocol by which two models may be compared",
        (
            Measure("naopc_comprehensiveness", UP, "the most relevant words leave first"),
            Measure("naopc_sufficiency", DOWN, "the least relevant words leave first"),
        ),
        cheap=False,
    ),
    "people": Protocol(
        people.people,
        "agreement with words that people marked: plausibility, not faithfulness",
        (
            Measure(
                "token_f1",
                UP,
                "F1 of the highest words, as large a share of the text as people marked in the mean text",
            ),
            Measure("iou_f1", UP, "F1 of stretches of such words, right if half of the union is common"),
            Measure("auprc", UP, "area under precision over recall"),
        ),
        needs_marks=True,
        perturbs=False,
    ),
    "planted": Protocol(
        shortcuts.found_first,
        "whether planted words, which a model is known to follow (autorel plant), are found",
        (
            Measure("precision", UP, "share of the planted words among as many of the highest (precision@k)"),
            Measure("rank", DOWN, "mean rank of the planted words, from 1"),
            Measure("share", UP, "their part of Σ|score|"),
        ),
        by_name=True,  # what people marked is not what a model is known to follow
        needs_labels=True,
        needs_marks=True,
        perturbs=False,
        cheap=False,
    ),
    "counterfactual": Protocol(
        None,
        "whether the scores of the words in which a copy of the text differs tell how the logit changes",
        (
            Measure("sign_agreement", UP, "share of the pairs where Σ of their scores has the sign of the change"),
            Measure("correlation", UP, "Pearson's, of Σ of their scores with the change, over the pairs"),
        ),
        needs_changed=True,
        perturbs=False,
    ),
}
NONE = "none"  # in place of a perturbation, of a protocol that takes nothing away
CASCADING, INDEPENDENT, SEED, BFLOAT16, ALONE = (
    "cascading",
    "independent",
    "other_model",
    "bfloat16",
    "alone",
)
SANITY = {  # kind of a changed model -> what was changed
    CASCADING: "parameters of this block and of all above it in disorder",
    INDEPENDENT: "parameters of this block in disorder",
    SEED: "another model of the same task",
    BFLOAT16: "matrix products in bfloat16",
    ALONE: "each text in a batch of its own, with other padding",
}
CHEAP = tuple(name for name, protocol in PROTOCOLS.items() if protocol.cheap)


def perturbations(protocol: str, asked: Iterable[str]) -> tuple[str, ...]:
    """Those that a protocol is measured with, of those asked for."""
    return tuple(asked) if PROTOCOLS[protocol].perturbs else (NONE,)


def measured_alone(protocol: str) -> bool:
    """Whether its numbers are found text by text."""
    return PROTOCOLS[protocol].measurement is not None
