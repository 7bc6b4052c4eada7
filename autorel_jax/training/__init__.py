"""Training: a TrainConfig -> a fine-tuned classifier in a Hugging Face directory.

run.py has the call; prepare.py reads, tokenizes and settles what is trained; loop.py takes the steps; finish.py
writes the result; of_run.py has the classifier of a checkpoint.
"""
