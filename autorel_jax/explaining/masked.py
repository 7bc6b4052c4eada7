"""Masked: rows and a head of masked words -> their explanations, one for each mask and filling. Used by explainer.py.

A head of masked words gives logits of the whole vocabulary at one mask, so that a text with several masks is read once
for each of them. V pieces of the vocabulary, N targets of a mask.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.attribution import targets
from autorel_jax.attribution.targets import Targets
from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError, one_line
from autorel_jax.explaining.at import tokens_at
from autorel_jax.explaining.compute import Answer, Computer
from autorel_jax.explaining.config import WINDOWS, ExplainConfig
from autorel_jax.explaining.contexts import deepest, whole, windows_of
from autorel_jax.explaining.describe import About, Asked, Where, explanation
from autorel_jax.report.explanation import Explanation, Prediction
from autorel_jax.report.view import joined
from autorel_jax.text.fillings import id_of, name_of
from autorel_jax.text.tokens import Tokens

LIKELIEST = 5  # fillings of a mask that a result holds, beside those that were named; as many as transformers' top_k


class Mask(NamedTuple):
    """A mask of a row."""

    row: int  # its place among the rows
    tokens: Tokens  # of the row; `asked` is the mask's place
    where: Where


class Filling(NamedTuple):
    """One target of a mask."""

    name: str
    weights: Mapping[int, float]  # of the logits of pieces, by their ids


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Fillings(Targets):
    """The targets of masks: `asked` holds as many for each mask as for any other."""

    weights: None = None
    names: None = None
    asked: Sequence[Sequence[Filling]]
    size: int  # V

    def batch(self, places: Sequence[int], tokens: int) -> np.ndarray:
        """[B, N, V], for a batch at a time: that of all masks may not fit the memory."""
        weights = np.zeros((len(places), len(self.asked[places[0]]), self.size), np.float32)
        for row, place in enumerate(places):
            for number, filling in enumerate(self.asked[place]):
                weights[row, number, list(filling.weights)] = list(filling.weights.values())
        return weights


def check(classifier: Classifier, config: ExplainConfig) -> None:
    """Raises InputError for options that a head of masked words does not have."""
    plain, target = ExplainConfig(), config.target
    for name in ("answer_tokens", "null_answer", "zero_shot"):
        if getattr(config, name) != getattr(plain, name):
            raise InputError(f"{name} does not go with masked words, which {classifier.name} is for.")
    if classifier.tokenizer.mask_id is None:
        raise InputError(f"The tokenizer of {classifier.name} has no mask; give the one that it was trained with.")
    word = targets.without_log(target)
    of_logarithm = word != target and (word == targets.MARGIN or word.startswith(targets.LOG_PROBABILITY))
    if word in (targets.ALL, "") or of_logarithm or not isinstance(target, str | list | tuple):
        raise InputError(
            f"target={one_line(repr(target))} is of labels of a whole text; {classifier.name} fills masks: give "
            "predicted, a word of the vocabulary, id:NUMBER, given, margin, log_probability:WORD or two words."
        )
    if config.top != plain.top and word != targets.PREDICTED:
        raise InputError(
            f"top={config.top} is of the likeliest fillings, but target={one_line(repr(target))}; give one."
        )
    if config.top > classifier.config.vocab_size:
        raise InputError(f"top={config.top} exceeds the {classifier.config.vocab_size} pieces of the vocabulary.")


def explain_each(
    computer: Computer,
    about: About,
    config: ExplainConfig,
    rows: Sequence[Row],
    tokens: Sequence[Tokens],
    progress: Callable[[int], object],
) -> list[list[Explanation] | InputError]:
    """For each row its explanations, or why it has none."""
    masks, asked, found = [], [], []
    for place, (row, one) in enumerate(zip(rows, tokens, strict=True)):
        try:
            mine = masks_of(computer.classifier, config, row, one, place)
            if not is_found(config):
                asked += [[named(computer.classifier, config, row, mask)] for mask in mine]
            masks += mine
            found.append([])
        except InputError as error:
            found.append(error)
    progress(sum(isinstance(one, InputError) for one in found))
    read = [mask.tokens for mask in masks]
    if is_found(config):
        asked = likeliest(computer, read, config)
    goal = Fillings(asked=asked, size=computer.classifier.config.vocab_size)
    made: dict[int, list[Explanation]] = {}
    left = Counter(mask.row for mask in masks)
    for answers in computer.answers(read, goal, range(len(masks)), max(computer.batch_size // config.top, 1)):
        for number, answer in answers.items():
            mask = masks[number]
            made[number] = described(computer.classifier, about, config, rows[mask.row], mask, asked[number], answer)
            left[mask.row] -= 1
        progress(sum(left[row] == 0 for row in {masks[number].row for number in answers}))
    for number, mask in enumerate(masks):
        found[mask.row] += made[number]
    return found


def masks_of(classifier: Classifier, config: ExplainConfig, row: Row, tokens: Tokens, place: int) -> list[Mask]:
    """The masks of a row, those that `at` names.

    Raises:
      InputError: there are none.
    """
    tokenizer = classifier.tokenizer
    sign = tokenizer.pieces[tokenizer.mask_id]
    there = np.flatnonzero(tokens.ids == tokenizer.mask_id).tolist()
    written = sum(joined(text).count(sign) for text in (row.text, row.pair) if text is not None)
    if not there:
        if written and tokens.truncated:
            raise InputError(
                f"Its {sign} is among the {tokens.truncated} word pieces that were cut off; shorten the text, raise "
                "max_length, or read it in windows."
            )
        raise InputError(f"It has no {sign}; write {sign} in place of the word that the model is to fill in.")
    if config.at is not None:
        chosen = places_at(config.at, row, tokens)
        others = {*tokens.word_index[[*chosen]].tolist()} - {*tokens.word_index[there].tolist()}
        there = [mask for mask in there if mask in chosen]
        if others or not there:
            numbers = ", ".join(f"token:{mask}" for mask in np.flatnonzero(tokens.ids == tokenizer.mask_id))
            raise InputError(
                f"at={one_line(config.at)!r} is not a {sign} alone, and no other word is filled; give one of {numbers}."
            )
    lost = written - int((tokens.ids == tokenizer.mask_id).sum())
    said = (f"{lost} of its {written} {sign} were cut off and not filled",) if lost > 0 and tokens.truncated else ()
    windows = [whole(tokens)]
    if config.long == WINDOWS and row.pair is None:
        windows = windows_of(tokens, config.max_length or classifier.longest_text, config.stride, 0)
    made = []
    for mask in there:
        window = windows[deepest(np.array([mask]), windows)]
        asked, warnings = int(np.searchsorted(window.places, mask)), (*window.tokens.warnings, *said)
        read = dataclasses.replace(window.tokens, asked=asked, warnings=warnings)
        made.append(Mask(place, read, Where(tokens.spans[mask], int(tokens.word_segments[tokens.word_index[mask]]))))
    return made


def places_at(at: str, row: Row, tokens: Tokens) -> set[int]:
    """The places of the tokens that `at` names, in the text or in its pair.

    Raises:
      InputError: there are none, or words in both.
    """
    pair = row.pair is not None and at in joined(row.pair)
    if pair and at in joined(row.text):
        raise InputError(f"at={one_line(at)!r} is in both texts; give one as token:NUMBER.")
    return {*tokens_at(at, row.pair if pair else row.text, tokens, int(pair)).tolist()}


def named(classifier: Classifier, config: ExplainConfig, row: Row, mask: Mask) -> Filling:
    """The target of a mask whose words were named: one word, or the first of two minus the second."""
    target = targets.without_log(config.target)
    words = [target] if isinstance(target, str) else list(target)
    if target == targets.GIVEN:
        words = [row.label]
    text = joined(row.pair if mask.where.segment else row.text)
    if len(words) > 2 or not words:
        raise InputError(f"A contrast needs two words, got {len(words)}.")
    size = classifier.config.vocab_size
    ids = [id_of(word, text, mask.where.span, classifier.tokenizer, size) for word in words]
    names = [name_of(number, classifier.tokenizer) for number in ids]
    if len(set(ids)) < len(ids):
        raise InputError(f"A contrast needs two words; both of {' and '.join(map(repr, words))} are {names[0]!r}.")
    return Filling(" - ".join(names), dict(zip(ids, (1.0, -1.0), strict=False)))


def is_found(config: ExplainConfig) -> bool:
    """Whether the model says which pieces are asked about: the likeliest, or of a margin the likeliest two."""
    return targets.without_log(config.target) in (targets.PREDICTED, targets.MARGIN)


def likeliest(computer: Computer, read: Sequence[Tokens], config: ExplainConfig) -> list[list[Filling]]:
    """The likeliest fillings of each mask, from a pass forward, or one that is the first minus the second."""
    found: dict[int, list[Filling]] = {}
    for batch in computer.logits(read, range(len(read))):
        for number, logits in batch.items():
            ids = ordered(logits)[: max(config.top, 2)].tolist()
            single = [Filling(name_of(one, computer.classifier.tokenizer), {one: 1.0}) for one in ids[: config.top]]
            margin = [Filling(targets.MARGIN, dict(zip(ids, (1.0, -1.0), strict=False)))]
            found[number] = margin if config.target == targets.MARGIN else single
    return [found[number] for number in range(len(read))]


def ordered(logits: np.ndarray) -> np.ndarray:
    """The ids of the vocabulary [V], the likeliest first; equal ones by their ids."""
    return np.argsort(-logits, kind="stable")


def described(
    classifier: Classifier,
    about: About,
    config: ExplainConfig,
    row: Row,
    mask: Mask,
    asked: Sequence[Filling],
    answer: Answer,
) -> list[Explanation]:
    """The Explanations of a mask, one for each filling."""
    kept = kept_ids(answer.logits, asked, config)
    names = tuple(name_of(number, classifier.tokenizer) for number in kept.tolist())
    logits, likely = answer.logits[kept], answer.probabilities[kept]
    few = answer._replace(logits=logits, probabilities=likely, scored=answer.scored[kept])
    is_linear = targets.without_log(config.target) == config.target
    prefix = "" if is_linear else targets.LOG_PROBABILITY
    prediction = Prediction(names[0], float(likely[0]), float(logits[0]))
    made = []
    for number, filling in enumerate(asked):
        weights = np.array([filling.weights.get(one, 0.0) for one in kept.tolist()])
        value = float(weights @ few.scored.astype(np.float64))
        target = Asked(number, prefix + filling.name, weights, value, is_linear)
        one = explanation(about, row, mask.tokens, prediction, few, target, mask.where)
        made.append(dataclasses.replace(one, fillings=names))
    return made


def kept_ids(logits: np.ndarray, asked: Sequence[Filling], config: ExplainConfig) -> np.ndarray:
    """The ids that a result holds, the likeliest first: the likeliest and those that are asked about.

    They are as many for each mask of a run, so that columns have one length.
    """
    order = ordered(logits)
    wanted = [number for filling in asked for number in filling.weights]
    named = 0 if is_found(config) else len(wanted)
    count = max(LIKELIEST, config.top) + named
    chosen = list(dict.fromkeys([*wanted, *order[:count].tolist()]))[:count]
    return order[np.isin(order, chosen)]
