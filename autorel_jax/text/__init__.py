"""Text: a text or a pair -> tokens with the word and the characters of each; windows of a long text.

tokenizer.py  the files of a tokenizer <-> what the tokenizers library computes with. Its parts:
    settings.py      what stands beside the vocabulary; which keys are honoured, harmless, refused
    classes.py       transformers' tokenizer classes that are read
    pipelines.py     each format of vocabulary -> a pipeline; vocab_txt.py and pieces.py read two of them
    added_tokens.py  special and added tokens
    normalizing.py   BERT's normalizer and its casing
    agreement.py     tokenizer.json against the settings and the family
    japanese.py      BertJapaneseTokenizer, through transformers
tokens.py     texts -> Tokens: ids, word pieces, words and characters
batches.py    tokens of many texts -> arrays of one length
words.py      scores of tokens -> scores of words
layout.py     where special tokens and texts stand
windows.py    a long text -> overlapping windows, and their relevance -> the text's
"""
