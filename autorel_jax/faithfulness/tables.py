"""Tables: the record of an Evaluation -> text for a terminal, a table for each protocol and perturbation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autorel_jax.faithfulness.config import DEFAULT, RANDOM
from autorel_jax.faithfulness.protocols import NONE, PROTOCOLS, SANITY, UP, Measure, perturbations

MARKS = {1: "+", 0: "=", -1: "-"}  # better than the default method, not to be told apart, worse
OWN_GAME = "*"
LEGEND = f"""[low high] is an interval of 95 % over texts (bootstrap). Behind it: {MARKS[1]} better than {DEFAULT} by \
paired differences, {MARKS[-1]} worse, {MARKS[0]} the interval holds 0; {RANDOM[0]} not told apart from {RANDOM}."""
ABOUT_MARK = f"{OWN_GAME} takes words away itself, which these protocols measure."
ONE_MODEL = "Numbers of two models cannot be compared, but those of naopc."
OF_SANITY = "sanity: rank correlation of the scores with those of the model as it is, mean over texts"
Row = Mapping[str, Any]


def tables(record: Mapping[str, Any]) -> str:
    """The main numbers of all protocols."""
    cut = f" ({record['texts_cut']} cut off at max_length)" if record["texts_cut"] else ""
    head = f"{record['model']['name']}: {record['texts']} texts{cut}, measured by {record['units']}s"
    notes = [LEGEND, ONE_MODEL]
    if any(marked(record, method, protocol) for method in record["methods"] for protocol in record["protocols"]):
        notes.append(ABOUT_MARK)
    if record["masked_model"]:
        same, change = (record["masked_model"][name]["mean"] for name in ("same_prediction", "probability_change"))
        notes.append(
            f"Measured on {record['masked_model']['name']}: it predicts the same for {same:.1%} of the texts, and the "
            f"target's probability differs by {change:.3f}."
        )
    each = [
        "\n".join(table(record, protocol, perturbation))
        for protocol in record["protocols"]
        for perturbation in perturbations(protocol, record["perturbations"])
    ]
    if record["sanity"]:
        each.append("\n".join(sanity(record["sanity"])))
    return "\n\n".join([head, *each, "\n".join(notes)])


def table(record: Mapping[str, Any], protocol: str, perturbation: str) -> Iterator[str]:
    """The lines of one."""
    yield f"{title(record, protocol, perturbation)}: {PROTOCOLS[protocol].about}"
    yield from aligned(grid(record, protocol, perturbation))


def sanity(entries: Sequence[Row]) -> Iterator[str]:
    """The lines of how scores change with the model."""
    yield OF_SANITY
    yield from aligned(sanity_grid(entries))
    yield from (f"{kind}: {SANITY[kind]}" for kind in dict.fromkeys(entry["kind"] for entry in entries))


def sanity_grid(entries: Sequence[Row]) -> list[list[str]]:
    """The cells of that table, its head first."""
    methods = list(dict.fromkeys(entry["method"] for entry in entries))
    by = {(entry["kind"], entry["what"], entry["method"]): entry for entry in entries}
    rows = [["", *methods]]
    for kind, what in dict.fromkeys((entry["kind"], entry["what"]) for entry in entries):
        name = kind if kind == what else f"{kind} {what}"
        rows.append([name, *(interval(by[kind, what, method]) for method in methods)])
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def title(record: Mapping[str, Any], protocol: str, perturbation: str) -> str:
    """What a table is of."""
    n = max(row["over_texts"]["n"] for row in of_table(record, protocol, perturbation).values())
    return f"{protocol}, {n} texts" if perturbation == NONE else f"{protocol}, {perturbation}, {n} texts"


def of_table(record: Mapping[str, Any], protocol: str, perturbation: str) -> dict[tuple[str, str], Row]:
    """(method, measure) -> its entry among the results."""
    rows = record["results"]
    return {
        (row["method"], row["measure"]): row
        for row in rows
        if (row["protocol"], row["perturbation"]) == (protocol, perturbation)
    }


def grid(record: Mapping[str, Any], protocol: str, perturbation: str) -> list[list[str]]:
    """The cells of a table, its head first, the best method next."""
    measures = [measure for measure in PROTOCOLS[protocol].measures if measure.shown]
    found = of_table(record, protocol, perturbation)
    rows = [["", *(f"{measure.name} ({measure.better} is better)" for measure in measures)]]
    for method in ranked(record["methods"], found, measures[0]):
        mark = OWN_GAME if marked(record, method, protocol) else ""
        rows.append([method + mark, *(cell(found[method, measure.name]) for measure in measures)])
    return rows


def marked(record: Mapping[str, Any], method: str, protocol: str) -> bool:
    """Whether a method is measured by what it does itself."""
    return record["methods"][method]["looks_at_deletions"] and PROTOCOLS[protocol].perturbs


def ranked(methods: Sequence[str], found: Mapping[tuple[str, str], Row], measure: Measure) -> list[str]:
    """The methods, the best first."""
    sign = -1 if measure.better == UP else 1

    def place(method: str) -> float:
        mean = found[method, measure.name]["over_texts"]["mean"]
        return float("inf") if mean is None else sign * mean

    return sorted(methods, key=place)


def cell(row: Row) -> str:
    """A number with its interval and marks."""
    over = row["over_texts"]
    text = interval(over)
    if (default := verdict(row, "minus_default")) is not None:
        text += f" {MARKS[default]}"
    return text + (f"{RANDOM[0]}" if verdict(row, "minus_random") == 0 else "")


def interval(over: Row) -> str:
    """A mean with its interval, which a single text has not."""
    if over["mean"] is None:
        return "no text"
    return f"{over['mean']:.3f}" + ("" if over["low"] is None else f" [{over['low']:.3f} {over['high']:.3f}]")


def verdict(row: Row, against: str) -> int | None:
    """Whether a method is better than the other (1), worse (-1), or neither (0); None where nothing is compared."""
    other = row.get(against)
    if other is None or other["low"] is None:
        return None
    sign = 1 if row["better"] == UP else -1
    if other["low"] <= 0 <= other["high"]:
        return 0
    return sign if other["mean"] > 0 else -sign
