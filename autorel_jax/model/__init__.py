"""Model: token ids or embeddings -> logits. Why Linen holds the parameters is in docs/design.md, "Model".

config.py      BertConfig and config.json
ops.py         the arithmetic as pure functions, and the Ops table
blocks.py      attention, feed-forward, a layer
heads.py       the last layer's tokens -> logits
encoder.py     Bert, the Linen module
inputs.py      ids beyond a table are refused
parameters.py  the shape of every parameter
"""
