"""Model: token ids or embeddings -> logits. Read ops.py (the arithmetic), blocks.py, heads.py, encoder.py."""
