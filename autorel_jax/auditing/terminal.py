"""Terminal: what check.py and shortcuts.py found -> lines for a terminal. The records are JSON, as they are saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autorel_jax.auditing.check import NOT_ENOUGH
from autorel_jax.auditing.policy import PASS
from autorel_jax.auditing.trials import TOO_FEW
from autorel_jax.auditing.verdict import HOLDS, UNKNOWN, Finding
from autorel_jax.errors import one_line
from autorel_jax.faithfulness.tables import aligned
from autorel_jax.report.view import percent

Record = Mapping[str, Any]
LONGEST = 100  # characters of a text in a line


def of_check(record: Record) -> Iterator[str]:
    """The verdicts, and the worst texts of each rule that does not hold."""
    yield f"{record['model']['name']}: {rows_line(record['texts'])}"
    rows = [["rule", "asked", "found", "texts", ""]]
    for result in record["results"]:
        rows.append([result["rule"], result["asked"], measured(result), str(result["texts"]), result["verdict"]])
    yield from aligned(rows)
    for result in record["results"]:
        if result["verdict"] != HOLDS:
            yield f"{result['rule']}, {result['limit']}: {result['verdict']}: {result['why']}"
    for name, counts in {result["rule"]: result["not_counted"] for result in record["results"]}.items():
        for why, count in counts.items():
            yield f"{name}: {count} texts are not counted: {why}"
    failed = dict.fromkeys(one["rule"] for one in record["results"] if one["verdict"] != HOLDS)
    for name in failed:
        if record["worst"][name]:
            yield ""
            yield f"{name}, the worst texts:"
            yield from (f"  {example_line(one)}" for one in record["worst"][name])


def findings(record: Record) -> list[Finding]:
    """Each limit as a finding. One with not enough texts is unknown, or holds where the policy says so."""
    answers = {NOT_ENOUGH: HOLDS if record["not_enough_texts"] == PASS else UNKNOWN}
    return [
        Finding(
            f"{one['rule']} {one['limit']}",
            answers.get(one["verdict"], one["verdict"]),
            f"{one['verdict']}: {measured(one)} in {one['texts']} texts; accepted: {one['asked']}; {one['why']}",
            [] if one["verdict"] == HOLDS else [example_line(each) for each in record["worst"][one["rule"]]],
        )
        for one in record["results"]
    ]


def of_shortcuts(record: Record, shown: int) -> Iterator[str]:
    """The first of the list with their evidence."""
    special = ", ".join(
        f"{percent(share)} for {one_line(name, 40)}" for name, share in record["special_tokens"].items()
    )
    yield f"{record['model']['name']}: {rows_line(record['texts'])}; accuracy {percent(record['accuracy'])}"
    yield f"special tokens have {special} of the relevance"
    if other := record["other_texts"]:
        yield f"other texts: {other['texts']}, {other['left_out']} rows left out"
    few = too_few(record)
    tested = len(record["listed"]) + len(record["not_listed"]) - few
    also = f"; {few} more could not be, for lack of texts" if few else ""
    if not record["listed"]:
        yield f"nothing is listed; {tested} candidates were tested{also}"
        return
    yield from aligned(shortcut_rows(record["listed"][:shown]))
    yield f"{len(record['listed'])} are listed, of {tested} candidates that were tested{also}"
    for one in record["listed"][:shown]:
        against = one["counter_examples"]
        for each in against["first"][:1]:
            yield f"but {one['shown']} is in {against['texts']} texts that are not {one_line(one['label'], 40)}"
            yield f"  {each['id']}: {one_line(each['label'], 40)}: {quoted(each['texts'])}"


def too_few(record: Record) -> int:
    """How many candidates could not be tested in full."""
    return sum(TOO_FEW in one["why_not"] for one in record["not_listed"])


SHORTCUT_HEAD = (
    "",
    "candidate",
    "is",
    "label",
    "texts of it",
    "log odds ratio",
    "relevance",
    "deleted: flips",
    "change",
    "inserted: flips",
    "random words",
    "change beyond it",
)


def shortcut_rows(listed: Sequence[Record]) -> list[Sequence[str]]:
    """The table of shortcuts, with its head."""
    rows: list[Sequence[str]] = [SHORTCUT_HEAD]
    for one in listed:
        deletion, insertion = one["deletion"], one["insertion"]
        rows.append(
            [
                str(one["rank"]),
                one["shown"],
                ", ".join([one["form"], *one["kinds"]]),
                one["label"],
                f"{one['of_label']} of {one['texts']}",
                ranged(one["association"]),
                percent(one["relevance"]["mean"]),
                percent(deletion["flips"]["mean"]),
                ranged(deletion["change"]),
                percent(insertion["flips"]["mean"]),
                percent(insertion["random_words"]["flips"]["mean"]),
                ranged(insertion["beyond_random_words"]),
            ]
        )
    return rows


def ranged(found: Record) -> str:
    """A number with its interval."""
    return "{mean:.2f} [{low:.2f} {high:.2f}]".format(**found)


def rows_line(texts: Record) -> str:
    """What became of the rows."""
    parts = [f"{texts['rows']} rows", f"{texts['texts']} texts"]
    for name, said in (
        ("left_out", "left out"),
        ("same_as_an_earlier_row", "the same as an earlier one, not counted again"),
        ("cut_off", "longer than the model reads"),
    ):
        parts += [f"{texts[name]} {said}"] if texts[name] else []
    return ", ".join(parts)


def measured(result: Record) -> str:
    """A value with its interval."""
    if result["value"] is None:
        return "-"
    mean = result["limit"] == "max_mean_move"
    value, low, high = (
        "?" if result[key] is None else f"{result[key]:.3f}" if mean else percent(result[key])
        for key in ("value", "low", "high")
    )
    return f"{value} [{low} {high}]"


def example_line(one: Record) -> str:
    """One of the worst texts."""
    text = quoted(one["texts"])
    if "share" in one:
        words = ", ".join(map(one_line, one["words"]))
        return f"{one['id']}: {percent(one['share'])} of the relevance on {words}: {text}"
    before, after = (
        ", ".join(f"{one_line(label, 40)} {chance:.3f}" for label, chance in one[when].items())
        for when in ("before", "after")
    )
    return f"{one['id']}: {before} → {after}: {text} → {quoted(one['changed_to'])}"


def quoted(texts: Sequence[str]) -> str:
    """A text, or a pair of texts, in one line."""
    return " / ".join(f"“{one_line(' '.join(text.split()), LONGEST)}”" for text in texts)
