"""A BERT whose decisions can be told by hand: the sign of a sum over the words of a text, each weighing 1, -1 or 0.

A word that weighs nothing has an embedding of zeros, the others have one vector or its opposite. The one attention
averages all tokens into [CLS], where LayerNorm leaves the sign. So the relevance of each word that weighs is as large
as that of any other such word of its text, and that of all others is 0.
"""

import numpy as np
from models import VOCAB, random_params, tiny_config

from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import write

LOGIT = 2.0  # of the second label where the sum is above 0, and of the first where it is below; the other has 0
CHANCE = float(1 / (1 + np.exp(-LOGIT)))


def write_sign_model(directory, weights, **changes):
    """`weights`: word -> 1 or -1; `changes` are fields of BertConfig."""
    tokenizer = load_tokenizer(VOCAB)
    config = tiny_config(vocab_size=tokenizer.max_id + 1, num_hidden_layers=1, **changes)
    params = random_params(config)
    size = config.hidden_size
    vector = np.where(np.arange(size) % 2, -1, 1).astype(np.float32)

    def clear(tree):
        for name, value in tree.items():
            if isinstance(value, dict):
                clear(value)
            else:
                value[...] = name == "scale"

    clear(params)
    ids = {word: int(tokenizer([word], max_length=3)[0].ids[1]) for word in weights}
    for word, weight in weights.items():
        params["embeddings"]["word"][ids[word]] = weight * vector
    for name in ("value", "attention_output"):
        params["last_layer"][name]["kernel"][...] = np.eye(size)
    params["pooler"]["kernel"][...] = np.eye(size)
    half = LOGIT / 2 / np.tanh(1) / size
    if config.num_labels == 1:
        params["classifier"]["kernel"][:, 0] = 2 * half * vector
    else:
        params["classifier"]["kernel"][:, 0] = -half * vector
        params["classifier"]["kernel"][:, 1] = half * vector
    write(directory, config, params, tokenizer)
    return directory
