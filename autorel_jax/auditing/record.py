"""Record: an Explainer and rows -> all that its scores depend on and the scores, as JSON that can be checked later.

A record is a dict; docs/audit.md says what it holds, record_file.py writes and reads it. verify.py makes a second one
and compares both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from autorel_jax.auditing.record_entries import Entry, entry_of, summary
from autorel_jax.auditing.record_facts import environment, model_facts, question_facts
from autorel_jax.auditing.record_file import MARK, SCHEMA, Record, seal
from autorel_jax.classifier import Classifier
from autorel_jax.data.row import Rejected, Row
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.part import Pairs, Part, explained, prepared
from autorel_jax.families.family import MASKED, TEXT_LABELS
from autorel_jax.foreign import fault_in
from autorel_jax.report.json_values import plain


class Recorder:
    """Gathers entries while rows are explained.

    Attributes:
      explainer: that explains them.
      salt: "" to keep words, else what goes before everything that is hashed.
      entries: of the rows, in their order.
      left_out: how many rows could not be read.
    """

    def __init__(self, explainer: Explainer, salt: str = ""):
        self.explainer, self.salt = explainer, salt
        self.question = question_facts(explainer)  # refuses early what no record can hold
        config = explainer.config
        self.labels = config.zero_shot or explainer.classifier.config.labels
        if salt and config.at is not None and not config.at.startswith(("word:", "token:")):
            raise InputError("--hash-texts keeps no words, but --at names some; give word:NUMBER or token:NUMBER.")
        if salt and config.references:
            raise InputError("--hash-texts keeps no words, but --references are kept as they are; leave one out.")
        if salt and explainer.classifier.config.task == MASKED:
            raise InputError(
                "--hash-texts keeps no words, but of a mask words are all that is predicted; leave it out."
            )
        self.entries: list[Entry] = []
        self.left_out = 0

    def add_part(self, items: Sequence[Row | Rejected], part: Part, pairs: Pairs) -> None:
        """Adds rows as they were read, with the explanations that those of the part have, if any."""
        results: dict[int, list[dict[str, Any]]] = {}
        for row, explanation in pairs:
            results.setdefault(id(row), []).append(explanation.to_dict())
        for item, of_part in zip(items, part.items, strict=True):
            if isinstance(item, Rejected) or fault_in([item.text, item.pair, plain(item.label), item.id]):
                self.left_out += 1
            else:
                self.add(item, results.get(id(of_part), []))

    def add(self, row: Row, results: Sequence[Mapping[str, Any]]) -> None:
        """Adds a row with its explanations as `Explanation.to_dict` gives them."""
        self.entries.append(entry_of(row, results, self.salt, self.labels))

    def record(self) -> Record:
        """The record.

        Raises:
          InputError: no row was read.
        """
        if not self.entries:
            raise InputError("There is nothing to record: no text could be read.")
        made = {
            MARK: SCHEMA,
            "environment": environment(self.explainer.config.split_words),
            "model": model_facts(self.explainer.classifier),
            "question": self.question,
            "salt": self.salt,
            "texts": self.entries,
            "left_out": self.left_out,
            "summary": summary(self.entries, self.explainer.classifier.config.task == TEXT_LABELS),
        }
        return made | {"sha256": seal(made)}


def gather(
    recorder: Recorder, rows: Iterable[Row | Rejected], progress: Callable[[int], object] = lambda done: None
) -> None:
    """Explains rows and adds them; those that cannot be explained are added without results."""
    explainer = recorder.explainer
    for number, items in enumerate(explainer.chunks(rows)):
        part = prepared(explainer, number, items)
        _, pairs = explained(explainer, part, progress)
        recorder.add_part(items, part, pairs)


def with_ledger(classifier: Classifier, config: ExplainConfig, devices: Sequence[Any] = ()) -> Explainer:
    """The Explainer of a config, with an audit where the method, the model and the way to read long texts have one."""
    with contextlib.suppress(InputError):
        return Explainer(classifier, dataclasses.replace(config, audit=True), devices)
    return Explainer(classifier, config, devices)


def new_salt() -> str:
    """A salt that no other record has."""
    return secrets.token_hex(16)
