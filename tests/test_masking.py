"""Training on texts with masked words: whole words, in half of each batch, drawn by seed and step."""

import numpy as np
import training
from models import VOCAB, refusal
from training import call, weights_of

from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.training.batches import Examples, Plan
from autorel_jax.training.masking import masking

TEXTS = ["a good film", "never xyz boring, really", "the actors (all of them) are good", "bad", "", "old and new"]
PAIRS = ["it is good", "no", "a movie", "bad story, sad end", "quiet", "x"]


def plan(pairs=None, count=60):
    tokenizer = load_tokenizer(VOCAB)
    texts = (TEXTS * count)[:count]
    pairs = None if pairs is None else (pairs * count)[:count]
    encoded = tokenizer.encode(texts, pairs, max_length=12)
    masked = masking(tokenizer, texts, pairs, encoded)
    examples = Examples(encoded, np.arange(count, dtype=np.int32), tokenizer.pad_id, masked)
    return tokenizer, texts, Plan(examples, 8, 2, 4, (12,), seed=3)


def rows_of(batch):
    """(number of the row, ids without padding) of each row."""
    flat = batch._replace(
        **{name: getattr(batch, name).reshape(-1, *getattr(batch, name).shape[2:]) for name in batch._fields}
    )
    for number, ids, mask, weight in zip(flat.labels, flat.ids, flat.mask, flat.weights, strict=True):
        if weight:
            yield number, ids[mask == 1]


def test_whole_words_in_half_of_each_batch():
    tokenizer, texts, made = plan()
    shares = []
    for batch in made.batches(0, 60):
        changed = 0
        for number, ids in rows_of(batch):
            (tokens,) = tokenizer([texts[number]], max_length=12)
            gone = ids != tokens.ids
            assert (ids[gone] == tokenizer.mask_id).all()
            words = [
                word
                for word in range(len(tokens.words))
                if tokens.word_spans[word] and (tokens.word_index == word).any()
            ]
            off = [gone[tokens.word_index == word] for word in words]
            assert all(one.all() or not one.any() for one in off)  # a word goes as a whole
            assert gone.sum() == sum(one.sum() for one in off)  # and no special token
            changed += gone.any()
            if gone.any() and len(words) > 4:
                shares.append(np.mean([one.all() for one in off]))
        rows = int(batch.weights.sum())
        assert changed <= -(-rows // 2)
    assert len(shares) > 20
    assert 0.4 < np.mean(shares) < 0.7  # drawn uniformly, of those that are not 0
    assert max(shares) == 1


def test_the_same_for_seed_and_step_and_anew_at_each():
    _, _, made = plan(PAIRS)
    one, again = (list(made.batches(0, 24)) for _ in range(2))
    for batch, other in zip(one, again, strict=True):
        np.testing.assert_array_equal(batch.ids, other.ids)
    (late,) = made.batches(20, 21)
    np.testing.assert_array_equal(late.ids, one[20].ids)  # a run that is resumed there
    masks = [
        dict((int(number), ids.tobytes()) for batch in epoch for number, ids in rows_of(batch))
        for epoch in (one[:8], one[8:16])
    ]
    assert masks[0] != masks[1]


def test_a_tokenizer_without_mask_is_refused():
    tokenizer, texts, made = plan()
    tokenizer.mask_id = None
    assert "no [MASK] token" in refusal(masking, tokenizer, texts, None, made.examples.encoded)


def test_the_flag(tmp_path):
    training.write_encoder(tmp_path / "encoder")
    config = training.write_task(tmp_path / "task")
    for name, more in (("plain", []), ("masked", ["--mask-words"])):
        code, out, err = call("--config", config, "--output", tmp_path / name, "--max-steps", 3, *more)
        assert (code, err) == (0, ""), out
    assert weights_of(tmp_path / "plain") != weights_of(tmp_path / "masked")
    assert "mask_words = true" in (tmp_path / "masked/config.toml").read_text()
