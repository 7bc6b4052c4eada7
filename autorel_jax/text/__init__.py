"""Text: a text or a pair -> tokens with the word and the characters of each; windows of a long text.

tokenizer.py  the files of a tokenizer <-> what the tokenizers library computes with
tokens.py     texts -> Tokens: ids, word pieces, words and characters; batches of them
words.py      scores of tokens -> scores of words
layout.py     where special tokens and texts stand
windows.py    a long text -> overlapping windows, and their relevance -> the text's
"""
