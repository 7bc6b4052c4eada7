"""Similarity: two texts and a model of sentence embeddings -> which tokens, and which pairs of them, make them alike.

    R_ij = s Σ_m R_i^m R'_j^m        R_i^m the relevance of token i for dimension m of its text's vector φ,
                                     s = 1 for the dot product, 1 / (|φ| |φ'|) for the cosine

Eberle et al. 2020 (BiLRP). What tokens do not explain, φ_m - Σ_i R_i^m, is one more row and column, with which all R_ij
add up to the similarity; the row of a token adds up to its relevance with the other text held fixed. Public as
`ar.similarity`. T and U tokens, D dimensions.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from autorel_jax.attribution.targets import PREDICTED, Targets
from autorel_jax.classifier import Classifier, refuse_strange_process
from autorel_jax.data.row import Row
from autorel_jax.errors import InputError
from autorel_jax.explaining.compute import Answer, Computer
from autorel_jax.explaining.config import TRUNCATE, ExplainConfig
from autorel_jax.explaining.describe import Asked, about, explanation
from autorel_jax.families.family import EMBEDDINGS
from autorel_jax.lrp.composites import MULTIPLIER
from autorel_jax.report.explanation import Explanation, Prediction
from autorel_jax.report.similarity import COSINE, MEASURES, Similarity
from autorel_jax.text.segments import Text
from autorel_jax.text.tokens import Tokens

BLOCK = 64  # dimensions whose relevance is computed together, so that memory does not grow with D


def similarity(
    classifier: Classifier, a: Text, b: Text | np.ndarray, *, measure: str | None = None, **options: Any
) -> Similarity:
    """Which tokens make two texts alike. Its cost is D passes backward for each text, with a vector one pass.

    Args:
      classifier: a model of sentence embeddings from `load`.
      a: a text.
      b: another; or a vector [D], such as the mean of those of many texts.
      measure: "cosine" or "dot"; None: the model's own, similarity_fn_name in its files, or else the cosine. Norms of
        vectors, also those by which a model normalizes its own, are constants.
      **options: fields of ExplainConfig: method (a composite that starts from multipliers), parameters, read_at,
        max_length, batch_size, split_words, split_punctuation.

    Raises:
      InputError: the model makes no vectors, or an option is not accepted.
    """
    refuse_strange_process()
    computer, config, measure = prepared(classifier, measure, options)
    if isinstance(b, np.ndarray):
        return to_vector(computer, a, tokens_of(classifier, config, [a]), b, measure)
    return of_pair(computer, config, (a, b), measure, (1, 2))


def similarities(
    classifier: Classifier, rows: Iterable[Row], *, measure: str | None = None, **options: Any
) -> Iterator[Similarity]:
    """The similarity of both texts of each row, one row after the other; arguments and errors as for `similarity`.

    The explanations have the row's id with ":1" and ":2" behind it.
    """
    refuse_strange_process()
    computer, config, measure = prepared(classifier, measure, options)
    for row in rows:
        if row.pair is None:
            raise InputError(f"Text {row.id} has no second text; name the column that has it, --pair-column.")
        yield of_pair(computer, config, (row.text, row.pair), measure, (f"{row.id}:1", f"{row.id}:2"))


def prepared(
    classifier: Classifier, measure: str | None, options: dict[str, Any]
) -> tuple[Computer, ExplainConfig, str]:
    """What computes, what is asked of it, and the measure; InputError where one of them cannot be."""
    check(classifier, options)
    measure = measure_of(classifier, measure)
    config = ExplainConfig(**options)
    computer = Computer(classifier, config)
    if getattr(computer.method, "boundary", None) is not MULTIPLIER:
        raise InputError(
            f"{computer.method.name} gives no relevance that is linear in its target, which similarity needs; use "
            "another composite, such as attnlrp."
        )
    return computer, config, measure


def tokens_of(classifier: Classifier, config: ExplainConfig, texts: Sequence[Text]) -> Sequence[Tokens]:
    """The tokens of single texts, as the config has them."""
    words = {"split_words": config.split_words, "split_punctuation": config.split_punctuation}
    return classifier.tokens(texts, max_length=config.max_length, **words)


def of_pair(
    computer: Computer, config: ExplainConfig, texts: tuple[Text, Text], measure: str, ids: Sequence[str | int]
) -> Similarity:
    """The similarity of two texts, whose explanations get these ids."""
    tokens = tokens_of(computer.classifier, config, texts)
    vectors = np.stack([vector for _, vector in sorted(merged(computer.logits(tokens, range(2))).items())])
    vectors = vectors.astype(np.float64)
    found, attention = by_dimension(computer, tokens)
    parts = [whole(one, vector) for one, vector in zip(found, vectors, strict=True)]
    scale = scale_of(measure, *vectors)
    matrix = scale * parts[0].T @ parts[1]
    value = float(scale * vectors[0] @ vectors[1])
    sides = zip(ids, texts, tokens, (matrix.sum(axis=1), matrix.sum(axis=0)), attention, strict=True)
    made = [side(computer, *each, measure, value) for each in sides]
    return Similarity(measure, value, *made, matrix)


def to_vector(computer: Computer, a: Text, tokens: Sequence[Tokens], vector: np.ndarray, measure: str) -> Similarity:
    """The similarity of a text to a vector [D], whose entries are the weights of one target."""
    if vector.shape != (computer.classifier.config.num_labels,) or not np.isfinite(vector).all() or not vector.any():
        raise InputError(
            f"the vector has shape {list(vector.shape)}; expected [{computer.classifier.config.num_labels}], of finite "
            "numbers that are not all 0."
        )
    goal = Targets(vector[None, None], None)
    (answer,) = merged(computer.answers(tokens, goal, [0])).values()
    own = answer.logits.astype(np.float64)
    scale = scale_of(measure, own, vector)
    value, found = float(scale * own @ vector), scale * answer.relevance[0, : len(tokens[0].ids)].astype(np.float64)
    rows = np.append(found, value - found.sum())
    made = side(computer, 1, a, tokens[0], rows, answer.attention, measure, value)
    return Similarity(measure, value, made, None, np.column_stack([rows, np.zeros_like(rows)]))


def scale_of(measure: str, a: np.ndarray, b: np.ndarray) -> float:
    """What the dot product of two vectors is multiplied by."""
    return 1 / float(np.linalg.norm(a) * np.linalg.norm(b)) if measure == COSINE else 1.0


def check(classifier: Classifier, options: dict[str, Any]) -> None:
    """Raises InputError for a model or options without a similarity."""
    if classifier.config.task != EMBEDDINGS:
        raise InputError(
            f"{classifier.name} is for {classifier.config.task.replace('_', ' ')}; similarity needs a directory of "
            "sentence-transformers, with modules.json."
        )
    accepted = ("method", "parameters", "read_at", "max_length", "batch_size", "split_words", "split_punctuation")
    plain = {"target": PREDICTED, "long": TRUNCATE}
    for name, value in options.items():
        if name not in accepted and plain.get(name, ...) != value:
            raise InputError(f"{name} does not go with similarity; accepted: {', '.join(accepted)}.")


def measure_of(classifier: Classifier, measure: str | None) -> str:
    """The measure that was asked for, or else the model's own; an InputError unless it is one of MEASURES."""
    chosen = (classifier.config.measure or COSINE) if measure is None else measure
    if chosen in MEASURES:
        return chosen
    if measure is None:
        raise InputError(
            f"{classifier.name} compares vectors by similarity_fn_name={chosen!r}, of which nothing is explained here; "
            f"give measure= (--measure), one of {', '.join(MEASURES)}."
        )
    raise InputError(f"measure={measure!r} is unknown; accepted: {', '.join(MEASURES)}.")


def by_dimension(computer: Computer, tokens: Sequence[Tokens]) -> tuple[list[np.ndarray], list[str]]:
    """The relevance [D, T] of each text's tokens for each dimension of its vector, and how attention was computed."""
    count = computer.classifier.config.num_labels
    blocks: list[list[np.ndarray]] = [[] for _ in tokens]
    attention = [""] * len(tokens)
    for start in range(0, count, BLOCK):
        weights = np.eye(count, dtype=np.float32)[start : start + BLOCK]
        weights = np.pad(weights, [(0, BLOCK - len(weights)), (0, 0)])  # one program for all blocks
        goal = Targets(np.broadcast_to(weights, (len(tokens), *weights.shape)), None)
        for place, answer in merged(computer.answers(tokens, goal, range(len(tokens)))).items():
            blocks[place].append(answer.relevance[: count - start, : len(tokens[place].ids)])
            attention[place] = answer.attention
    return [np.concatenate(found).astype(np.float64) for found in blocks], attention


def whole(relevance: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Relevance [D, T] with what it leaves of the vector [D] as a last column: [D, T + 1]."""
    return np.column_stack([relevance, vector - relevance.sum(axis=1)])


def merged(batches: Any) -> dict[int, Any]:
    """Dicts of places as one."""
    return {place: found for batch in batches for place, found in batch.items()}


def side(
    computer: Computer,
    name: str | int,
    text: Text,
    tokens: Tokens,
    sums: np.ndarray,
    attention: str,
    measure: str,
    value: float,
) -> Explanation:
    """The explanation of one text, with the other held fixed; `sums` are of the matrix's rows [T + 1]."""
    known = about(computer)
    kind = computer.classifier.kind
    values = np.array([value], kind)
    answer = Answer(values, None, values, sums[None, :-1].astype(kind), attention=attention)
    asked = Asked(0, measure, np.ones(1), value, is_linear=True)
    return explanation(known, Row(name, text, None, None), tokens, Prediction(measure, None, value), answer, asked)
