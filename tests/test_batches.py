"""batches.py and Tokenizer.encode: every row once an epoch, in batches that depend on seed and step alone."""

import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest
from models import VOCAB, refusal

from autorel_jax.data.task import TaskConfig
from autorel_jax.model.config import BertConfig
from autorel_jax.text import tokens
from autorel_jax.text.batches import Encoded, pad
from autorel_jax.text.lengths import fit
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.training.batches import (
    MULTIPLE,
    PROGRAM,
    Examples,
    Plan,
    TrainBatch,
    in_order,
    padded_lengths,
    program_cost,
)
from autorel_jax.training.config import TrainConfig
from autorel_jax.training.prepare import Prepared, make_plan

PAD = 7  # not 0, which a batch could be full of by mistake
WORDS = ("the", "film", "dull", ".", "(", "walking", "[SEP]", "[MASK]", "中文x", "ﬁ", "e\u0301", "\u200b", "\x0b", "")
WORDS = (*WORDS, "y" * 120)
# Rows, batch size, parts, devices.
PLANS = (
    (203, 16, 1, 1),
    (203, 16, 2, 1),
    (203, 16, 4, 8),
    (203, 12, 3, 5),
    (5, 16, 2, 2),
    (1, 4, 4, 1),
    (48, 16, 1, 4),
)


def examples(count, seed=0, longest=40, pairs=True):
    """Random rows; the label of each is its number."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, longest + 1, count)
    first = rng.integers(2, lengths) if pairs else lengths
    ids = rng.integers(10, 60, lengths.sum(), np.int32)
    encoded = Encoded(ids, np.cumsum([0, *lengths]), first.astype(np.int32), lengths.astype(np.int32))
    return Examples(encoded, np.arange(count, dtype=np.int32), PAD)


def plan(count=203, batch_size=16, parts=1, devices=1, seed=42, **options):
    rows = -(-batch_size // parts // devices) * devices
    found = examples(count, **options)
    return Plan(found, batch_size, parts, rows, padded_lengths(found.lengths), seed)


def rows_of(batch):
    """The numbers of the rows in a batch."""
    return batch.labels[batch.weights == 1].tolist()


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def assert_right(batch, source):
    """What a batch holds in each place, from the rows of `source`."""
    flat = [leaf.reshape(-1, *leaf.shape[batch.weights.ndim :]) for leaf in batch]
    for ids, mask, types, label, weight in zip(*flat, strict=True):
        encoded, count = source.encoded, 0
        if weight:
            start, end = encoded.offsets[label : label + 2]
            count = end - start
            assert ids[:count].tolist() == encoded.ids[start:end].tolist()
        else:
            assert (weight, label) == (0, 0)
        second = count - encoded.first[label] if weight else 0
        assert mask.tolist() == [1] * count + [0] * (len(mask) - count)
        assert types.tolist() == [0] * (count - second) + [1] * second + [0] * (len(types) - count)
        assert set(ids[count:].tolist()) <= {PAD}


# --- the batches of a run


@pytest.mark.parametrize("shape", PLANS)
def test_an_epoch_has_each_row_once(shape):
    count, batch_size, parts, devices = shape
    made = plan(*shape)
    assert made.steps_per_epoch == -(-count // batch_size)
    for epoch in range(2):
        batches = list(made.batches(epoch * made.steps_per_epoch, (epoch + 1) * made.steps_per_epoch))
        assert sorted(itertools.chain(*map(rows_of, batches))) == list(range(count))
        sizes = sorted(len(rows_of(batch)) for batch in batches)
        assert sizes[1:] == [batch_size] * (len(sizes) - 1)
        assert sizes[0] == count - batch_size * (len(sizes) - 1)
        for batch in batches:
            assert batch.weights.shape[0] == parts
            assert batch.weights.shape[1] % devices == 0
            counts = batch.weights.sum(axis=1)
            assert counts.max() - counts.min() <= 1  # dealt out in turn


@pytest.mark.parametrize("shape", PLANS)
@pytest.mark.parametrize("pairs", [True, False])
def test_what_a_batch_holds(shape, pairs):
    made = plan(*shape, pairs=pairs)
    for batch in made.batches(0, made.steps_per_epoch):
        assert [leaf.dtype for leaf in batch] == [np.int32] * 4 + [np.float32]
        assert batch.ids.shape == batch.mask.shape == batch.types.shape
        longest = batch.mask.sum(axis=-1).max()
        assert batch.ids.shape[-1] == min(length for length in made.lengths if length >= longest)
        assert_right(batch, made.examples)


def test_the_seed_and_the_step_say_it_all():
    first, again = (list(plan().batches(0, 40)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert_same(a, b)
    for start in (0, 1, 12, 13, 14, 26, 39):  # an epoch has 13
        for a, b in zip(plan().batches(start, 40), first[start:], strict=True):
            assert_same(a, b)
    assert list(plan().batches(5, 5)) == []
    orders = [[rows_of(batch) for batch in first[start : start + 13]] for start in (0, 13, 26)]
    orders.append([rows_of(batch) for batch in plan(seed=43).batches(0, 13)])
    for a, b in itertools.combinations(orders, 2):
        assert a != b
        assert {frozenset(rows) for rows in a} != {frozenset(rows) for rows in b}  # not the batches' order alone


def test_devices_and_accumulation_change_no_step():
    """A step has the same rows; with as many parts, each row in the same place of the same part."""
    alone = [set(rows_of(batch)) for batch in plan().batches(0, 26)]
    for parts, devices in ((1, 8), (2, 1), (2, 5), (4, 8), (16, 3)):
        made = plan(parts=parts, devices=devices)
        assert [set(rows_of(batch)) for batch in made.batches(0, 26)] == alone
        single = plan(parts=parts)
        for a, b in zip(made.batches(0, 26), single.batches(0, 26), strict=True):
            assert_same(TrainBatch(*(leaf[:, : single.part_rows] for leaf in a)), b)
            assert not a.weights[:, single.part_rows :].any()


def test_batches_are_shuffled_and_yet_short():
    made = plan(1024, longest=100)  # one window
    lengths = [fit(made.examples.lengths[rows].max(), made.lengths) for rows in made.epoch(0)]
    assert lengths != sorted(lengths)
    unsorted = np.random.default_rng(0).permutation(1024).reshape(-1, 16)
    padded = sum(fit(made.examples.lengths[rows].max(), made.lengths) for rows in unsorted)
    assert sum(lengths) < 0.7 * padded


@pytest.mark.parametrize("kind", ["regression", "multi"])
def test_labels_of_other_problems(kind):
    source = examples(11)
    labels = np.random.default_rng(1).random(11, np.float32)
    if kind == "multi":
        labels = (np.random.default_rng(1).random((11, 3)) < 0.5).astype(np.int32)
    source = Examples(source.encoded, labels, PAD)
    made = Plan(source, 4, 2, 3, padded_lengths(source.lengths), 0)
    (first,) = made.batches(0, 1)
    rows = made.epoch(0)[0]
    assert first.labels.dtype == labels.dtype
    expected = np.zeros((3, 2, *labels.shape[1:]), labels.dtype)  # dealt out: part p has rows p, p + 2, …
    expected[:2] = labels[rows].reshape(2, 2, *labels.shape[1:])
    np.testing.assert_array_equal(first.labels, expected.swapaxes(0, 1))


# --- the batches of an evaluation


@pytest.mark.parametrize(("count", "batch_size"), [(45, 8), (48, 8), (5, 8), (1, 1)])
def test_an_evaluation_has_each_row_once(count, batch_size):
    source = examples(count)
    lengths, seen = padded_lengths(source.lengths), []
    for rows, batch in in_order(source, batch_size, lengths):
        assert batch.ids.shape[0] == batch.weights.shape[0] == batch_size
        assert batch.labels[: len(rows)].tolist() == rows.tolist() == rows_of(batch)
        assert batch.ids.shape[1] == fit(source.lengths[rows].max(), lengths)
        assert_right(batch, source)
        seen += rows.tolist()
    assert sorted(seen) == list(range(count))
    assert (np.diff(source.lengths[seen]) >= 0).all()


# --- lengths


def wasted(lengths, chosen):
    """Tokens when each row is padded to the next of the chosen lengths; infinite where a row fits none."""
    return sum(min((c for c in chosen if c >= length), default=np.inf) for length in lengths)


@pytest.mark.parametrize("seed", range(30))
def test_lengths_waste_least(seed):
    rng = np.random.default_rng(seed)
    longest, count = rng.integers(4, 60), int(rng.integers(1, 7))
    lengths = rng.choice(rng.integers(3, longest + 1, 4), 25) if seed % 2 else rng.integers(3, longest + 1, 25)
    chosen = padded_lengths(lengths, count)
    multiples = range(MULTIPLE, 64 + 1, MULTIPLE)
    every = itertools.chain(*(itertools.combinations(multiples, k) for k in range(1, count + 1)))
    assert len(chosen) <= count
    assert all(length % MULTIPLE == 0 for length in chosen)
    assert list(chosen) == sorted(set(chosen))
    assert wasted(lengths, chosen) == min(wasted(lengths, some) for some in every)


def test_lengths_by_hand():
    assert padded_lengths(np.array([3])) == (8,)
    assert padded_lengths(np.array([8, 9, 16, 17])) == (8, 16, 24)
    assert padded_lengths(np.array([5] * 9 + [12, 30]), 2) == (8, 32)
    assert padded_lengths(np.array([5, 12] + [30] * 9), 2) == (16, 32)
    assert padded_lengths(np.array([5, 12, 30]), 1) == (32,)


def test_lengths_are_as_many_as_pay():
    """The cost of padded tokens and programs, of every choice there is."""
    lengths = np.random.default_rng(0).integers(3, 65, 40)
    multiples = range(MULTIPLE, 64 + 1, MULTIPLE)
    every = [some for k in range(1, 9) for some in itertools.combinations(multiples, k)]
    counts = []
    for program in (0, 1, 30, 70, 150, 400, 1e6):
        chosen = padded_lengths(lengths, 8, program)
        costs = [wasted(lengths, some) + program * len(some) for some in every]
        assert wasted(lengths, chosen) + program * len(chosen) == min(costs)
        counts.append(len(chosen))
    assert counts[0] == 8
    assert counts[-1] == 1
    assert counts == sorted(counts, reverse=True)
    # 9 rows of 8 tokens and one of 32: a second length saves 216.
    assert padded_lengths(np.array([5] * 9 + [30]), program=215) == (8, 32)
    assert padded_lengths(np.array([5] * 9 + [30]), program=217) == (32,)


def test_a_program_costs_what_it_could_have_trained():
    """BERT-base: 6 operations for each of 85 million parameters and each token; half of it for twice the passes."""
    base = BertConfig(30522, 768, 12, 12, 3072, labels=("a", "b"))
    assert program_cost(base, 1) == PROGRAM / (6 * 12 * 12 * 768**2)
    assert program_cost(base, 3) == program_cost(base, 1) / 3


def model(positions):
    return BertConfig(100, 384, 6, 12, 1536, max_position_embeddings=positions, labels=("a", "b"))


@pytest.mark.parametrize(
    ("settings", "passes"), [({"epochs": 2.0}, 2), ({"max_steps": 15}, 1.5), ({"max_steps": 10**9}, 1e8)]
)
def test_lengths_follow_from_settings_and_data(settings, passes):
    """The steps of the run, or its epochs: the same ones for the same run, wherever it is resumed."""
    config = TrainConfig(task=TaskConfig(train="x"), **settings)  # batches of 32
    made = make_plan(config, {"train": examples(300)}, model(64), 1)
    assert made.lengths == padded_lengths(examples(300).lengths, program=program_cost(model(64), passes))
    assert (len(made.lengths) == 5) is (passes > 1e6)  # all there are up to 40 tokens
    assert make_plan(config, {"train": examples(300)}, model(64), 8).lengths == made.lengths


def test_lengths_end_at_the_models_positions():
    config = TrainConfig(task=TaskConfig(train="x"), batch_size=6, accumulation=2, max_steps=10**9)
    splits = {"train": examples(50, longest=20), "dev": examples(50, seed=1, longest=20)}
    made = make_plan(config, splits, model(20), 4)
    assert made.lengths == (8, 16, 20)
    assert (made.parts, made.part_rows) == (2, 4)
    assert {batch.ids.shape[-1] for batch in made.batches(0, 9)} <= {8, 16, 20}


def test_batches_are_not_padded_beyond_all_rows():
    config = TrainConfig(task=TaskConfig(train="x"), batch_size=2**30, accumulation=4, eval_batch_size=2**30)
    splits = {"train": examples(50), "dev": examples(70, seed=1), "test": examples(90, seed=2)}
    made = make_plan(config, splits, model(64), 2)
    assert (made.parts, made.part_rows, made.steps_per_epoch) == (4, 14, 1)
    (batch,) = made.batches(0, 1)
    assert batch.weights.sum() == 50
    run = SimpleNamespace(config=config, splits=splits, learner=SimpleNamespace(mesh=SimpleNamespace(size=4)))
    assert Prepared.eval_rows.fget(run) == 72


def test_a_row_longer_than_the_batch_is_refused():
    source = examples(5, longest=40)
    with pytest.raises(ValueError, match=f"A row of {source.lengths.max()} tokens does not fit a batch of length 8"):
        source.batch(np.arange(5), 8, 1, 5)


# --- Tokenizer.encode


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(VOCAB)


def texts(count, seed):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randrange(9))) for _ in range(count)]


@pytest.mark.parametrize("max_length", [4, 5, 9, 10, 64])
@pytest.mark.parametrize("paired", [False, True])
def test_encode_is_call_without_words(tokenizer, monkeypatch, max_length, paired):
    monkeypatch.setattr(tokens, "CHUNK", 7)
    first, second = texts(60, 1), texts(60, 2) if paired else None
    rows = tokenizer(first, second, max_length=max_length)
    encoded = tokenizer.encode(first, second, max_length=max_length)
    assert len(encoded) == 60
    assert encoded.lengths.tolist() == [len(row.ids) for row in rows]
    assert encoded.lengths.max() <= max_length
    assert encoded.whole.tolist() == [len(row.ids) + row.truncated for row in rows]
    assert max_length > 10 or (encoded.whole > encoded.lengths).any()
    order = np.random.default_rng(0).permutation(60)[:50]
    batch = encoded.batch(order, (4, 13, max_length), PAD)
    expected = pad([rows[i] for i in order], max_length, 52, PAD)
    for name in ("ids", "mask", "types"):
        found = getattr(batch, name)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found.reshape(52, max_length), getattr(expected, name))


def test_encode_needs_room_for_text(tokenizer):
    assert refusal(tokenizer.encode, ["a"], max_length=2) == ("max_length=2 leaves no room for text; use at least 3.")
    assert refusal(tokenizer.encode, ["a"], ["b"], max_length=3) == (
        "max_length=3 leaves no room for text; use at least 4."
    )
    assert len(tokenizer.encode([], max_length=8)) == 0
