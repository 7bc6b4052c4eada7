"""Keys: what `config.json` may hold beside a family's own settings, and why it changes no number; what is refused.

A key that is in no list, neither here nor in the family's record, gives a warning. Read by model/config.py.
"""

from autorel_jax.families.family import Refusal

READ = (  # by parse_config itself
    "model_type",
    "architectures",
    "id2label",
    "num_labels",
    "problem_type",
    "auto_map",
    "label2id",  # compared with id2label
)

_GENERATION = "generates text, which a classifier does not"
_TRAINING = "of the training of somebody else"
_OUTPUT = "what transformers returns beside the logits"
_HEAD = "of another head"
_SPEED = "the same numbers, computed in another order"
_TOKENS = "the tokenizer's own files say it"

HARMLESS = {
    "transformers_version": "who wrote the file",
    "adapter_transformers_version": "who wrote the file",
    "dtype": "of the weights in the file, which say it themselves; computed in float32",
    "torch_dtype": "as dtype",
    "use_bfloat16": "as dtype",
    "tokenizer_class": "text/ reads it",
    "finetuning_task": "a name",
    "name": "a name",
    "language": "a name",
    "tie_word_embeddings": "of the head of masked words",
    "chunk_size_feed_forward": _SPEED,
    "attn_implementation": _SPEED,
    "use_flash_attention_2": _SPEED,
    "torchscript": _SPEED,
    "xla_device": _SPEED,
    "use_cache": "of decoders",
    "cross_attention_hidden_size": "of decoders",
    "tie_encoder_decoder": "of decoders",
    "gradient_checkpointing": "saves memory in training",
    "tf_legacy_loss": _TRAINING,
    "output_past": _OUTPUT,
    "output_attentions": _OUTPUT,
    "output_hidden_states": _OUTPUT,
    "return_dict": _OUTPUT,
    "use_return_dict": _OUTPUT,
    "sentence_transformers": "what sentence-transformers applies to the logits",
    "sbert_ce_default_activation_function": "what sentence-transformers applies to the logits",
    "function_to_apply": "transformers' pipeline never comes to read it",
    # Google's own configs; transformers has never read them
    "pooler_fc_size": "read by nobody",
    "pooler_num_attention_heads": "read by nobody",
    "pooler_num_fc_layers": "read by nobody",
    "pooler_size_per_head": "read by nobody",
    **dict.fromkeys(("bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "mask_token_id"), _TOKENS),
    **dict.fromkeys(("unk_token_id", "decoder_start_token_id", "eos_token_ids"), _TOKENS),
    **dict.fromkeys(("summary_activation", "summary_first_dropout", "summary_last_dropout"), _HEAD),
    **dict.fromkeys(("summary_use_proj", "summary_proj_to_labels"), _HEAD),
    **dict.fromkeys(
        (
            "max_length",
            "min_length",
            "do_sample",
            "early_stopping",
            "num_beams",
            "num_beam_groups",
            "diversity_penalty",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
            "repetition_penalty",
            "length_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "bad_words_ids",
            "num_return_sequences",
            "output_scores",
            "return_dict_in_generate",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "remove_invalid_values",
            "exponential_decay_length_penalty",
            "suppress_tokens",
            "begin_suppress_tokens",
            "prefix",
            "task_specific_params",
        ),
        _GENERATION,
    ),
}

REFUSALS = (  # of every family
    Refusal(("is_encoder_decoder",), (None, False), "accepted: a plain encoder"),
    Refusal(("directionality",), (None, "bidi"), "accepted: 'bidi'"),
    Refusal(("pooler_type",), (None, "first_token_transform"), "accepted: 'first_token_transform'"),
    Refusal(
        ("quantization_config",),
        (None, {}),
        "quantized weights are not read: save the model as it was before, or after dequantize()",
    ),
    Refusal(("adapters", "adapter_fusion_config", "fusion_config"), (None, {}, []), "merge the adapters first"),
)
OWN_CODE = "AutoModelForSequenceClassification"  # in auto_map: the classifier is code of the model's own
