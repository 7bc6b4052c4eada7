"""Clean: a text -> the text in the way of Kim (2014), "Convolutional Neural Networks for Sentence Classification".

The option `clean` of a task, off by default: BERT's tokenizer needs none of it, and a text that is explained should
be the text that was trained on. Used by splits.py.
"""

import re

ODD = re.compile(r"[^A-Za-z0-9(),!?'`]")  # letters with accents too
CLITIC = re.compile(r"(?='(?:s|ve|re|d|ll)|n't)")  # the place before it; in small letters only
MARK = re.compile(r"([(),!?])")


def clean(text: str) -> str:
    """Odd characters become spaces, clitics and marks words of their own ("it's" -> "it 's"); in small letters.

    The original writes a backslash before parentheses and question marks, which is a slip and not followed.
    """
    text = CLITIC.sub(" ", ODD.sub(" ", text))
    return " ".join(MARK.sub(r" \1 ", text).split()).lower()
