"""Model: token ids or embeddings -> logits. The arithmetic (ops.py), the Linen modules, the heads."""
