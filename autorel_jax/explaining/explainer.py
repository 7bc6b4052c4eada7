"""Explainer: a classifier, a method and a target -> an Explanation of each text. `explain` is the call for notebooks.

Rows are tokenized in chunks, sorted by length within one, explained in batches of few shapes (so that little is
compiled and little is padded), and come back in the order they went in: tokens -> targets (attribution/targets.py)
-> answers (compute.py, documents.py) -> Explanations (describe.py).
"""

import dataclasses
import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from autorel_jax.attribution import targets
from autorel_jax.attribution.method import Method
from autorel_jax.attribution.targets import Targets
from autorel_jax.classifier import Classifier, check_segments, refuse_strange_process
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError, InputWarning
from autorel_jax.explaining import masked, on_tokens, references, zero_shot
from autorel_jax.explaining.compute import Answer, Computer
from autorel_jax.explaining.config import WINDOWS, ExplainConfig
from autorel_jax.explaining.describe import about, describe
from autorel_jax.explaining.given import columns_of, target_of
from autorel_jax.explaining.on_tokens import NothingFound
from autorel_jax.families.family import ANSWERS, EMBEDDINGS, MASKED, TEXT_LABELS
from autorel_jax.report.explanation import Explanation, Explanations
from autorel_jax.text.batches import doubt_of_pad
from autorel_jax.text.segments import Text
from autorel_jax.text.tokens import Tokens

CUT = f"long={WINDOWS!r} is for single texts: this pair is cut off, as without it"


def explain(
    classifier: Classifier,
    texts: Iterable[Text] | str,
    pairs: Iterable[Text] | str | None = None,
    *,
    labels: Iterable[str | int] | None = None,
    contrast: Sequence[str | int] | None = None,
    **options: Any,
) -> Explanations:
    """Which tokens and words made the classifier decide.

    Args:
      classifier: from `load`.
      texts: N texts, each a string or a list of words; one string is one text. Where each is two strings with a
        space in them, they are pairs.
      pairs: N second texts, for a classifier of pairs.
      labels: N labels (names or ids), for target="given".
      contrast: two labels: why the first and not the second; the same as a tuple of them as target.
      **options: fields of ExplainConfig: method, parameters, references, target, at, top, answer_tokens, null_answer,
        zero_shot, hypothesis, multi_label, read_at, audit, readouts, neurons, max_length, batch_size, prefetch,
        split_words, split_punctuation, long, stride.

    Returns:
      One Explanation for each text and target, in the order of the texts. Of a model for tokens one for each entity;
      texts without any have none, which a warning says.

    Raises:
      InputError: an unknown option, method or label, or lists of different lengths.
    """
    refuse_strange_process()
    fields = [field.name for field in dataclasses.fields(ExplainConfig)]
    if unknown := sorted(options.keys() - set(fields)):
        raise InputError(f"Unknown option {', '.join(unknown)}. Available: {', '.join(fields)}.")
    columns = columns_of(texts, pairs, labels)
    target = target_of(options.get("target"), contrast, len(columns["texts"]))
    options |= {} if target is None else {"target": target}
    if labels is not None and not targets.reads_given(options.get("target")):
        raise InputError(f"labels are for target={targets.GIVEN!r}; give that too, or leave them out.")
    count = len(columns["texts"])
    numbered = enumerate(zip(*(column or [None] * count for column in columns.values()), strict=True), start=1)
    rows = [Row(number, *row) for number, row in numbered]
    return Explanations(Explainer(classifier, ExplainConfig(**options)).explain(rows))


def check_one_output(classifier: Classifier, config: ExplainConfig) -> None:
    """Raises InputError for a class of a model with one output, which has one logit for both, 0 and 1."""
    target = config.target
    if targets.reads_given(target):
        raise InputError(
            f"target={target!r} needs a model of several labels; {classifier.name} has one output, whose logit is "
            f"explained whatever a text's label is: use target={targets.PREDICTED!r}."
        )
    if classifier.config.is_sigmoid and str(targets.without_log(target)) in {"0", "1"} - set(classifier.config.labels):
        raise InputError(
            f"target={target!r}: {classifier.name} has one output, and 0 and 1 are its two classes. Its logit speaks "
            f"for 1, and with the other sign for 0: use target={targets.PREDICTED!r}, or id:0 for the output."
        )


class Explainer:
    """Explains rows of text with one classifier, method and target; compiled programs are shared between calls.

    Threads may share it. Batches are divided among the `devices`, if they are given; else they go where JAX puts them.

    Attributes:
      classifier: from `load`.
      config: what is asked.
      computer: what computes, with the method and its parameters.
      row_label: a label that came with a text -> its number, from Classifier.row_labels.
    """

    def __init__(self, classifier: Classifier, config: ExplainConfig, devices: Sequence[jax.Device] = ()):
        if not isinstance(classifier, Classifier):
            raise InputError(
                f"The classifier is a {type(classifier).__name__}; expected what autorel_jax.load returns."
            )
        if classifier.config.task == EMBEDDINGS:
            raise InputError(
                f"{classifier.name} makes a vector of a text, of which nothing is predicted; explain the similarity of "
                "two texts by ar.similarity or autorel similar."
            )
        (masked if classifier.config.task == MASKED else on_tokens).check(classifier, config)
        config = zero_shot.configured(classifier, config)
        classifier.tokens([], max_length=config.max_length)  # refuses a length that cannot be
        if classifier.config.task == TEXT_LABELS and classifier.config.num_labels == 1:
            check_one_output(classifier, config)
        if config.long == WINDOWS and targets.is_function(config.target) and classifier.config.task != MASKED:
            raise InputError(
                f"The target {config.target!r} is a function of the logits, which is not read in windows; use "
                "long='truncate'."
            )
        self.classifier, self.config, self.row_label = classifier, config, classifier.row_labels()
        self.max_length = config.max_length or classifier.longest_text
        self.computer = Computer(classifier, config, devices)
        self.about = about(self.computer)
        if self.parameters.get("baseline") == "pad":
            for doubt in doubt_of_pad(classifier.tokenizer, "baseline=pad"):
                warnings.warn(doubt, InputWarning, stacklevel=2)

    @property
    def cut(self) -> int | None:
        """Which text of a pair alone is cut: never a question or a hypothesis, as in transformers; None: any."""
        if self.config.zero_shot:
            return 0
        return on_tokens.CONTEXT[ANSWERS] if self.classifier.config.task == ANSWERS else None

    @property
    def method(self) -> Method:
        """The method, with the values of its parameters."""
        return self.computer.method

    @property
    def parameters(self) -> dict[str, Any]:
        """Where the method is read, and its parameters, as every Explanation has them."""
        return self.about.shared["parameters"]

    def explain(
        self, rows: Iterable[Row], progress: Callable[[int], object] = lambda done: None
    ) -> Iterator[Explanation]:
        """Rows -> their explanations in the same order, with one chunk of rows in memory.

        `progress` is called with the number of rows that were finished since its last call.
        """
        for chunk in self.chunks(rows):
            yield from self.explain_chunk(chunk, progress)

    def chunks(self, rows: Iterable[Any]) -> Iterator[list[Any]]:
        """What is sorted by length and held in memory together; it grows, so that the first result comes soon."""
        rows, batches = iter(rows), 1
        while chunk := list(itertools.islice(rows, batches * self.computer.batch_size)):
            yield chunk
            batches = min(2 * batches, self.config.prefetch)

    def explain_chunk(
        self, rows: Sequence[Row], progress: Callable[[int], object], tokens: Sequence[Tokens] | None = None
    ) -> Iterator[Explanation]:
        """As `explain`; every row is tokenized and its target resolved first; `tokens` are known ones."""
        nothing = []
        for row, found in zip(rows, self.explain_each(rows, progress, tokens), strict=True):
            if isinstance(found, NothingFound):
                nothing.append(f"Text {row.id} has no explanation: {found}")
            elif isinstance(found, InputError):
                raise InputError(f"Text {row.id}: {found}")
            else:
                yield from found
        if nothing:
            more = f" (and {len(nothing) - 1} more of {len(rows)})" if len(nothing) > 1 else ""
            warnings.warn(nothing[0] + more, InputWarning, stacklevel=2)

    def explain_labels(
        self, rows: Sequence[Row], progress: Callable[[int], object]
    ) -> list[list[Explanation] | InputError]:
        """Likewise, for each label of zero-shot."""
        single = [row for row in rows if row.pair is None]
        pairs = [pair for row in single for pair in zero_shot.pairs_of(row, self.config)]
        labels, done = len(self.config.zero_shot), 0
        progress(len(rows) - len(single))

        def finished(count: int) -> None:  # a row is done when its pairs are
            nonlocal done
            progress((done + count) // labels - done // labels)
            done += count

        made = iter([found for (found,) in self.explain_rows(pairs, finished, self.tokenize(pairs))])
        return [
            zero_shot.of_labels(list(itertools.islice(made, labels)), self.config)
            if row.pair is None
            else InputError(zero_shot.PAIR)
            for row in rows
        ]

    def explain_each(
        self, rows: Sequence[Row], progress: Callable[[int], object], tokens: Sequence[Tokens] | None = None
    ) -> list[list[Explanation] | InputError]:
        """For each row its explanations, or why it has none."""
        tokens = self.tokenize(rows) if tokens is None else tokens
        if self.config.zero_shot:
            return self.explain_labels(rows, progress)
        if self.classifier.config.on_tokens:
            return on_tokens.explain_each(self.computer, self.about, self.config, rows, tokens, progress)
        if self.classifier.config.task == MASKED:
            return masked.explain_each(self.computer, self.about, self.config, rows, tokens, progress)
        return self.explain_rows(rows, progress, tokens)

    def explain_rows(
        self, rows: Sequence[Row], progress: Callable[[int], object], tokens: Sequence[Tokens]
    ) -> list[list[Explanation]]:
        """For each row its explanations, by a head with outputs of the whole text."""
        goal = self.goal_of(rows)
        explanations: dict[int, list[Explanation]] = {}
        for answers in self.answers(tokens, goal):
            for place, answer in answers.items():
                explanations[place] = describe(self.about, rows[place], tokens[place], goal, place, answer)
            progress(len(answers))
        return [explanations[place] for place in range(len(rows))]

    def goal_of(self, rows: Sequence[Row]) -> Targets:
        """What is explained of each row."""
        model, given = self.classifier.config, [(row.id, row.label) for row in rows]
        label_id = self.row_label if targets.reads_given(self.config.target) else self.classifier.label_id
        return targets.resolve(self.config.target, model.labels, label_id, given, model.problem)

    def answers(self, tokens: Sequence[Tokens], goal: Targets) -> Iterator[dict[int, Answer]]:
        """The place of a row -> its Answer, a batch at a time; those that are read in windows come last."""
        long = [place for place, row in enumerate(tokens) if len(row.ids) > self.max_length]
        short = [place for place, row in enumerate(tokens) if len(row.ids) <= self.max_length]
        yield from self.computer.answers(tokens, goal, short)
        if not long:
            return
        from autorel_jax.explaining.documents import read_in_windows

        for place in long:
            asked = None if goal.weights is None else goal.weights[place]
            yield {place: read_in_windows(self.computer, tokens[place], asked, self.max_length, self.config.stride)}

    @property
    def word_options(self) -> dict[str, Any]:
        """How texts are split into words, as a tokenizer takes it."""
        return {"split_punctuation": self.config.split_punctuation, "split_words": self.config.split_words}

    def tokenize(self, rows: Sequence[Row]) -> list[Tokens]:
        """The rows' texts, or pairs of texts, as Tokens; an InputError names the row that has none."""
        references.check_rows(self.method, rows)
        pairs = [row.pair for row in rows]
        alone = all(pair is None for pair in pairs)
        config = self.config
        texts, pairs = [row.text for row in rows], None if alone else pairs
        try:
            if config.long == WINDOWS and (alone or self.classifier.config.task == ANSWERS):
                whole = self.classifier.tokenizer(texts, pairs, max_length=sys.maxsize, **self.word_options)
                check_segments(whole, self.classifier.config.type_vocab_size)
                return whole
            made = self.classifier.tokens(texts, pairs, max_length=config.max_length, cut=self.cut, **self.word_options)
            if config.long != WINDOWS:
                return made
            return [dataclasses.replace(row, warnings=(*row.warnings, CUT)) if row.truncated else row for row in made]
        except InputError as error:
            if len(rows) == 1:
                raise InputError(f"Text {rows[0].id}: {error}") from None
            for row in rows:
                self.tokenize([row])
            raise
