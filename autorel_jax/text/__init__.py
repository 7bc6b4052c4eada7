"""Text: a text or a pair -> tokens with the word and the characters of each; windows of a long text."""
