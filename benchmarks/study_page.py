"""The page of the study, docs/study.md: study.toml and the results of its parts -> text. Used by study.py."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autorel_jax.faithfulness.config import DEFAULT, RANDOM
from autorel_jax.faithfulness.protocols import CASCADING, PROTOCOLS, SANITY, perturbations
from autorel_jax.faithfulness.tables import (
    ABOUT_MARK,
    LEGEND,
    OF_SANITY,
    ONE_MODEL,
    grid,
    marked,
    of_table,
    ranked,
    sanity_grid,
    title,
    verdict,
)

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PEOPLE, SHARE = "people", "share"  # plausibility; how much of the scores planted words have, which need not be all
ELSEWHERE = f"{DEFAULT}:read_at=embeddings"
Study, Entry, Record = (Mapping[str, Any],) * 3


def page(study: Study, records: Mapping[str, Record]) -> str:
    """The text of docs/study.md."""
    parts = [part for part in study["part"] if part["name"] in records]
    found = [
        f"# {study['title']}\nWritten by `python benchmarks/study.py` from the numbers in `benchmarks/study/`; edit "
        "`benchmarks/study.toml`.",
        study["about"].strip(),
        *missing(study, records),
        "## What to use when",
        *(line for name, group in families(study, records).items() for line in advice(name, group)),
        f"### Which method for which question\nThose better than `{DEFAULT}`, and in how many of the tables below.",
        markdown([["question", "measure", "better"], *questions(records)]),
        "## Where relevance is read",
        *read_points(parts, records),
        study.get("read_point", "").strip(),
        "## Targets",
        *targets(study, records),
        study.get("cost", "").strip(),
        *(section(part, records[part["name"]]) for part in parts),
        "\n\n".join(["## How to read the tables", LEGEND, ONE_MODEL, f"\\{ABOUT_MARK}"]),
    ]
    return "\n\n".join(found) + "\n"


def families(study: Study, records: Mapping[str, Record]) -> dict[str, dict[str, Record]]:
    """The records by the family of their models, as a heading names it."""
    own = {
        model["name"]: f"Another family: `{model['architecture']['model_type']}`"
        for model in study.get("model", [])
        if "architecture" in model
    }
    found: dict[str, dict[str, Record]] = {}
    for part in study["part"]:
        if part["name"] in records:
            name = own.get(part.get("model"), "The built-in model, and models fine-tuned from it")
            found.setdefault(name, {})[part["name"]] = records[part["name"]]
    return found


def missing(study: Study, records: Mapping[str, Record]) -> Iterator[str]:
    """The parts that are not measured."""
    names = [f"`{part['name']}` ({part['title']})" for part in study["part"] if part["name"] not in records]
    if names:
        yield f"Not measured yet, and in no number below: {'; '.join(names)}."


class Tally(NamedTuple):
    """Of a method, in how many numbers it is better than the default method, worse, or neither."""

    better: int = 0
    same: int = 0
    worse: int = 0
    as_random: int = 0  # numbers in which it is not told apart from random scores

    @property
    def of(self) -> int:
        """The numbers."""
        return self.better + self.same + self.worse


def tallies(records: Mapping[str, Record], own_game: bool) -> dict[str, Tally]:
    """The Tally of each method over all shown numbers: those that are its `own_game`, or all others."""
    found: dict[str, Tally] = {}
    for record in records.values():
        for row in shown(record):
            said = verdict(row, "minus_default")
            if said is None or marked(record, row["method"], row["protocol"]) != own_game:
                continue
            if row["protocol"] == PEOPLE or row["measure"] == SHARE:  # other questions
                continue
            as_random = row["method"] != RANDOM and verdict(row, "minus_random") == 0
            one = Tally(said == 1, said == 0, said == -1, as_random)
            found[row["method"]] = Tally(*map(sum, zip(found.get(row["method"], Tally()), one, strict=True)))
    return found


def advice(name: str, records: Mapping[str, Record]) -> Iterator[str]:
    """What the numbers of a family say of each method, in sentences and a table."""
    found = tallies(records, own_game=False)
    methods = {name: one for name, one in found.items() if name != RANDOM}
    kinds = {
        "better in some numbers, worse in none": lambda one: one.better and not one.worse,
        "better in some, worse in others": lambda one: one.better and one.worse,
        "neither better nor worse in any": lambda one: not one.better and not one.worse,
        "worse in some, better in none": lambda one: not one.better and one.worse and one.same,
        "worse in all": lambda one: not one.better and one.worse and not one.same,
    }
    said = [
        f"### {name}",
        f"Compared with `{DEFAULT}`, the default, in all their tables below. A difference counts where its interval of "
        "95 % excludes 0. Agreement with people does not count, nor does the share of the scores that planted words "
        "have. A method that takes words away itself counts only where the measure takes none away.",
    ]
    for kind, holds in kinds.items():
        said.append(f"- {kind}: {listed(name for name, one in methods.items() if holds(one))}.")
    alike = [f"`{name}` ({one.as_random} of {one.of})" for name, one in methods.items() if one.as_random]
    said.append(f"- not told apart from random scores in some numbers: {', '.join(alike) or 'none'}.")
    own = tallies(records, own_game=True)
    said += [
        f"- `{name}` takes words away itself; where that is measured it is better in {one.better} of {one.of} numbers, "
        f"worse in {one.worse}."
        for name, one in own.items()
    ]
    yield "\n".join(said)
    rows = [["method", f"better than {DEFAULT}", "not told apart", "worse"]]
    order = sorted(found.items(), key=lambda one: (-one[1].better, one[1].worse))
    rows += [[f"`{name}`", str(one.better), str(one.same), str(one.worse)] for name, one in order]
    yield markdown(rows)


def listed(names: Iterable[str]) -> str:
    """Names of methods in a sentence."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def questions(records: Mapping[str, Record]) -> Iterator[list[str]]:
    """Of each measure the methods that are better than the default somewhere."""
    for protocol, facts in PROTOCOLS.items():
        for measure in (measure for measure in facts.measures if measure.shown):
            better: dict[str, int] = {}
            tables = set()
            for name, record in records.items():
                for row in record["results"]:
                    if (row["protocol"], row["measure"]) != (protocol, measure.name):
                        continue
                    tables.add((name, row["perturbation"]))
                    if verdict(row, "minus_default") == 1:
                        method = f"`{row['method']}`" + (r"\*" if marked(record, row["method"], protocol) else "")
                        better[method] = better.get(method, 0) + 1
            if tables:
                each = [f"{method} ({count} of {len(tables)})" for method, count in better.items()]
                yield [facts.about, measure.name, ", ".join(each) or "none"]


def read_points(parts: Sequence[Entry], records: Mapping[str, Record]) -> Iterator[str]:
    """The default method read elsewhere, minus itself: a table, and what it says of each measure."""
    rows, models = [["part", "model", "measure", "difference", "n", "better"]], {}
    for part in parts:
        for row in shown(records[part["name"]]):
            if row["method"] == ELSEWHERE and (said := verdict(row, "minus_default")) is not None:
                minus = row["minus_default"]
                rows.append(
                    [
                        part["name"],
                        model_of(part),
                        f"{row['measure']}, {row['perturbation']} ({row['better']} is better)",
                        f"{minus['mean']:.4f} [{minus['low']:.4f} {minus['high']:.4f}]",
                        str(minus["n"]),
                        {1: "yes", 0: "the interval holds 0", -1: "worse"}[said],
                    ]
                )
                models.setdefault(row["measure"], {}).setdefault(model_of(part), []).append(said)
    yield (
        f"`{ELSEWHERE}` minus `{DEFAULT}`, in the same texts. The default is to change only where the interval of 95 % "
        "excludes 0 on two models or more."
    )
    if len(rows) == 1:
        yield "It is not measured."
        return
    yield markdown(rows)
    yield "By model, where one counts as better that has a better number and no worse one:"
    counts = [["measure", "models", "better on", "worse on"]]
    for measure, by_model in models.items():
        better = sum(max(each) == 1 and min(each) >= 0 for each in by_model.values())
        worse = sum(min(each) == -1 for each in by_model.values())
        counts.append([measure, str(len(by_model)), str(better), str(worse)])
    yield markdown(counts)
    enough = [row[0] for row in counts[1:] if int(row[2]) >= 2]
    yield f"Better on two models or more: {', '.join(enough) or 'no measure'}."


def model_of(part: Entry) -> str:
    """The model of a part, as study.toml names it."""
    return part["name"] if "plant" in part else part.get("model", "built-in")


def shown(record: Record) -> Iterator[Mapping[str, Any]]:
    """The entries of the results that are in tables."""
    names = {measure.name for one in PROTOCOLS.values() for measure in one.measures if measure.shown}
    yield from (row for row in record["results"] if row["measure"] in names)


def targets(study: Study, records: Mapping[str, Record]) -> Iterator[str]:
    """Each target, met or not, with its number: the default method minus the other, in the same texts."""
    rows = [["part", "measure", f"{DEFAULT} minus …", "difference", "n", "met"]]
    asked = {part["name"]: part["perturb"] for part in study["part"] if "perturb" in part}
    for target in study.get("target", []):
        for part in target["parts"]:
            for perturbation in perturbations(target["protocol"], asked[part]):
                for method in target.get("better_than", target.get("reported")):
                    label = [part, f"{target['measure']}, {perturbation}", f"`{method}`"]
                    row = None
                    if part in records:
                        row = of_table(records[part], target["protocol"], perturbation).get((method, target["measure"]))
                    rows.append([*label, *difference(row, "better_than" in target)])
    yield markdown(rows) if len(rows) > 1 else "There are none."


def difference(row: Mapping[str, Any] | None, wanted: bool) -> list[str]:
    """The last cells of a target."""
    if row is None or row["minus_default"]["low"] is None:
        return ["–", "–", "not measured"]
    minus = row["minus_default"]
    text = f"{-minus['mean']:.4f} [{-minus['high']:.4f} {-minus['low']:.4f}]"
    said = {-1: "yes", 0: "no: the interval holds 0", 1: "no"}[verdict(row, "minus_default")]
    return [text, str(minus["n"]), said if wanted else "reported"]


def section(part: Entry, record: Record) -> str:
    """The tables of a part, what is best in each, and its picture."""
    facts = f"{record['texts']} texts, {record['units']}s, seed {record['seed']}; model: {model_of(part)}"
    if record["masked_model"]:
        masked = record["masked_model"]
        facts += (
            f", measured on {part['masked_model']}, which predicts the same for {masked['same_prediction']['mean']:.1%}"
        )
        facts += f" of the texts (the target's probability differs by {masked['probability_change']['mean']:.3f})"
    if record.get("planted"):
        facts += f", which follows what is planted in {record['planted']['followed']:.1%} of these texts"
        if (led := record["planted"]["followed_a_part"]) is not None:
            other = record["planted"]["opposed_a_part"]
            facts += f"; {led:.1%} of texts with a part of it alone get its label, {other:.1%} the other one"
    blocks = [f"## {part['title']}\n{facts}."]
    blocks += [part["about"].strip()] if "about" in part else []
    for protocol in record["protocols"]:
        for perturbation in perturbations(protocol, record["perturbations"]):
            head = f"**{title(record, protocol, perturbation)}**: {PROTOCOLS[protocol].about}."
            table = markdown(grid(record, protocol, perturbation))
            blocks.append("\n\n".join([head, table, conclusion(record, protocol, perturbation)]))
    if record.get("sanity"):
        blocks += disorder(record["sanity"])
    if record["curves"]:
        blocks.append(f"![The curves of {part['title']}]({picture(part['name']).name})")
    return "\n\n".join(blocks)


def disorder(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How scores change with the model, and which of them do not change enough."""
    yield f"**sanity, {max(entry['n'] for entry in entries)} texts**: {OF_SANITY.removeprefix('sanity: ')}."
    yield markdown(sanity_grid(entries))
    kinds = dict.fromkeys(entry["kind"] for entry in entries)
    said = [f"- {kind}: {SANITY[kind]}." for kind in kinds]
    if CASCADING in kinds:
        last = [entry["what"] for entry in entries if entry["kind"] == CASCADING][-1]
        left = [
            f"`{entry['method']}`"
            for entry in entries
            if (entry["kind"], entry["what"]) == (CASCADING, last) and entry["low"] is not None and entry["low"] > 0
        ]
        said.append(
            f"- With all parameters in disorder, the interval still lies above 0 for {', '.join(left) or 'none'}."
        )
    yield "\n".join(said)


def conclusion(record: Record, protocol: str, perturbation: str) -> str:
    """Where the default method loses, and what cannot be told apart from it."""
    found, said = of_table(record, protocol, perturbation), []
    for measure in PROTOCOLS[protocol].measures:
        if measure.shown:
            order = ranked(record["methods"], found, measure)
            by = {1: [], 0: [], -1: []}
            for method in order:
                if (one := verdict(found[method, measure.name], "minus_default")) is not None:
                    by[one].append(f"`{method}`")
            if not any(by.values()):
                continue
            better = f"better than `{DEFAULT}`: {', '.join(by[1])}" if by[1] else f"none is better than `{DEFAULT}`"
            same = f"; not told apart from it: {', '.join(by[0])}" if by[0] else ""
            said.append(f"{measure.name}: {better}{same}")
    return "\n".join(f"- {one}." for one in said)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def picture(name: str) -> Path:
    """The picture of a part."""
    return DOCS / f"study-{name}.png"
