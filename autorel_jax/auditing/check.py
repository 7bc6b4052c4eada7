"""Check: an Explainer, a Policy and rows -> whether the model keeps to the policy. Used by cli/check.py.

A limit that is a share of texts is judged with the exact interval, a mean with Student's, both of 95 % over texts:
it holds where the whole interval keeps to it, it is broken where none of the interval does, and in between there are
not enough texts to tell. A limit that allows nothing (0 flips, all texts) is judged by these texts alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax import __version__
from autorel_jax.auditing.phrases import Found
from autorel_jax.auditing.policy import Group, Policy, Swap
from autorel_jax.auditing.reading import (
    Case,
    Changed,
    Progress,
    Tally,
    cases,
    check_classifier,
    same_reading,
)
from autorel_jax.auditing.swaps import swapped
from autorel_jax.auditing.verdict import BROKEN, HOLDS
from autorel_jax.data.row import Rejected, Row
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.faithfulness.intervals import Mean, mean_by_t, share_of
from autorel_jax.report.explanation import Explanation
from autorel_jax.report.view import percent

NOT_ENOUGH = "not enough texts"
WORST = 5  # texts of a rule that are kept to show


class Example(NamedTuple):
    """A text that a rule is about."""

    order: tuple[float, ...]  # the worst is the greatest
    record: dict[str, Any]
    explanation: Explanation


@dataclasses.dataclass
class Seen:
    """What a rule found in the texts so far."""

    rule: Group | Swap
    values: list[float] = dataclasses.field(default_factory=list)  # shares of relevance, or how far probabilities move
    flips: list[bool] = dataclasses.field(default_factory=list)
    apart: dict[str, int] = dataclasses.field(default_factory=dict)  # why texts are not counted -> how many
    worst: list[Example] = dataclasses.field(default_factory=list)

    def leave(self, why: str) -> None:
        """Notes a text that is not counted."""
        self.apart[why] = self.apart.get(why, 0) + 1

    def keep(self, example: Example) -> None:
        """Keeps it if it is among the worst; of equal ones the first."""
        self.worst = sorted([*self.worst, example], key=lambda one: one.order, reverse=True)[:WORST]


class Checked(NamedTuple):
    """What was found."""

    record: dict[str, Any]  # JSON
    explanations: dict[str, list[Explanation]]  # of the worst texts of each rule


UNREAD = "the words are in a part that was cut off"
NO_RELEVANCE = "no word has relevance"
UNSEEN = "the model reads the same before and after"
CUT = "the end of the text is cut off elsewhere"


def check(
    explainer: Explainer, policy: Policy, rows: Iterable[Row | Rejected], progress: Progress = lambda done: None
) -> Checked:
    """Whether the model keeps to the policy on these texts.

    Raises:
      InputError: the model predicts no labels, or no text can be explained.
    """
    check_classifier(explainer.classifier)
    groups, swaps = [Seen(rule) for rule in policy.groups], [Seen(rule) for rule in policy.swaps]
    tally, changed = Tally(), Changed(explainer)
    for chunk in cases(explainer, rows, tally, progress):
        for case in chunk:
            for seen in groups:
                note_share(seen, case)
        for seen in swaps:
            note_swaps(seen, chunk, changed)
        changed.predictor.forget()
    named = [*((f"groups.{seen.rule.name}", seen) for seen in groups)]
    named += [(f"swaps.{seen.rule.name}", seen) for seen in swaps]
    results = [result for name, seen in named for result in judged(name, seen)]
    record = {
        "version": __version__,
        "model": {"name": explainer.classifier.name, "weights_sha256": explainer.classifier.fingerprint},
        "method": {"name": explainer.about.shared["method"], "parameters": explainer.parameters},
        "not_enough_texts": policy.not_enough_texts,
        "texts": tally.record,
        "results": results,
        "worst": {name: [one.record for one in seen.worst] for name, seen in named},
    }
    return Checked(record, {name: [one.explanation for one in seen.worst] for name, seen in named})


def note_share(seen: Seen, case: Case) -> None:
    """Notes how much of a text's relevance its words of the group have."""
    found = [
        (segment, one)
        for segment, text in enumerate(case.texts)
        for one in seen.rule.phrases.all_in(text, case.edges(segment))
    ]
    if not found:
        return
    words = case.words
    touched = [any(of == segment and overlap(span, one) for segment, one in found) for of, span, _ in words]
    total = sum(abs(score) for _, _, score in words)
    if not any(touched) or not total:
        seen.leave(NO_RELEVANCE if any(touched) else UNREAD)
        return
    share = sum(abs(score) for (_, _, score), of_group in zip(words, touched, strict=True) if of_group) / total
    seen.values.append(share)
    named = list(dict.fromkeys(case.texts[segment][one.start : one.end] for segment, one in found))
    seen.keep(Example((share,), about(case) | {"share": share, "words": named}, case.explanation))


def overlap(span: tuple[int, int], found: Found) -> bool:
    """Whether a word and a phrase have a character in common."""
    return span[0] < found.end and found.start < span[1]


def note_swaps(seen: Seen, chunk: Sequence[Case], changed: Changed) -> None:
    """Notes what exchanging words does to the texts that hold them."""
    made = []
    for case in chunk:
        new = tuple(
            swapped(text, seen.rule.phrases, seen.rule.other, case.edges(segment))
            for segment, text in enumerate(case.texts)
        )
        if new != case.texts:
            made.append((case, new))
    compared = []
    tokens = changed.tokens([case.row for case, _ in made], [new for _, new in made])
    for (case, new), after in zip(made, tokens, strict=True):
        if same_reading(case.tokens, after):
            seen.leave(UNSEEN)
        elif case.tokens.truncated != after.truncated:
            seen.leave(CUT)
        else:
            compared.append((case, new, after))
    if not compared:
        return
    classifier = changed.explainer.classifier
    logits = changed.logits([tokens for case, _, after in compared for tokens in (case.tokens, after)])
    given = classifier.decisions(logits).reshape(len(compared), 2, -1)
    chance = classifier.probabilities(logits).reshape(len(compared), 2, -1)
    for (case, new, _), labels, probabilities in zip(compared, given, chance, strict=True):
        flips = bool((labels[0] != labels[1]).any())
        of = slice(None) if classifier.config.is_sigmoid else int(labels[0].argmax())
        move = float(np.abs(probabilities[1] - probabilities[0])[of].max())
        seen.values.append(move)
        seen.flips.append(flips)
        before, after = (
            dict(zip(classifier.config.labels, row.tolist(), strict=True))
            if classifier.config.is_sigmoid
            else {classifier.config.labels[best]: float(row[best]) for best in [int(row.argmax())]}
            for row in probabilities
        )
        found = {"flips": flips, "move": move, "before": before, "after": after, "changed_to": list(new)}
        seen.keep(Example((flips, move), about(case) | found, case.explanation))


def about(case: Case) -> dict[str, Any]:
    """Which text it is, as JSON."""
    return {"id": case.row.id, "file": case.row.file, "line": case.row.line, "texts": list(case.texts)}


def judged(name: str, seen: Seen) -> Iterator[dict[str, Any]]:
    """Each limit of a rule with what was found, as JSON."""
    rule, count = seen.rule, len(seen.values)
    more = {"rule": name, "not_counted": seen.apart}

    def of(limit: str, asked: str, found: Mean, bound: float, at_most: bool) -> dict[str, Any]:
        verdict, why = verdict_of(found, bound, at_most, rule.min_texts)
        interval = {key: None if np.isnan(value) else value for key, value in found._asdict().items() if key != "n"}
        value, low, high = (interval[key] for key in ("mean", "low", "high"))
        numbers = {"value": value, "low": low, "high": high, "texts": found.n}
        return more | {"limit": limit, "asked": asked, **numbers, "verdict": verdict, "why": why}

    if isinstance(rule, Group):
        within = share_of(sum(value <= rule.max_share for value in seen.values), count)
        asked = f"at most {percent(rule.max_share)} of a text's relevance, in at least"
        asked += f" {percent(rule.in_share_of_texts)} of the texts"
        yield of("max_share", asked, within, rule.in_share_of_texts, False)
        return
    if rule.max_flips is not None:
        asked = f"at most {percent(rule.max_flips)} of the texts flip"
        yield of("max_flips", asked, share_of(sum(seen.flips), count), rule.max_flips, True)
    if rule.max_move is not None:
        within = share_of(sum(value <= rule.max_move for value in seen.values), count)
        asked = f"the probability moves by at most {rule.max_move:g}, in at least"
        asked += f" {percent(rule.in_share_of_texts)} of the texts"
        yield of("max_move", asked, within, rule.in_share_of_texts, False)
    if rule.max_mean_move is not None:
        mean = mean_by_t(np.array(seen.values))
        asked = f"the probability moves by at most {rule.max_mean_move:g} on average"
        yield of("max_mean_move", asked, mean, rule.max_mean_move, True)


def verdict_of(found: Mean, bound: float, at_most: bool, least: int) -> tuple[str, str]:
    """HOLDS, BROKEN or NOT_ENOUGH, and why."""
    keeps = (lambda value: value <= bound) if at_most else (lambda value: value >= bound)
    strict = bound == (0 if at_most else 1)
    if found.n and strict and not keeps(found.mean):
        return BROKEN, "a single text is enough"
    if found.n < least:
        return NOT_ENOUGH, f"{found.n} of the {least} texts that are asked for"
    if strict:
        return HOLDS, "in these texts; an interval cannot show that it never happens"
    inside = [keeps(end) for end in (found.low, found.high)]
    if all(inside):
        return HOLDS, "the whole interval keeps to it"
    if not any(inside):
        return BROKEN, "the whole interval is beyond it"
    return NOT_ENOUGH, "the interval holds the limit: more texts would tell"
