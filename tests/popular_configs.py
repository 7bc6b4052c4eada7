"""Configs of popular checkpoints, with the keys that such repositories have and sizes that a test can hold.

They are written by hand, not downloaded: a repository's own file may hold other keys. Weights are random.
"""

import json

FEW = {"vocab_size": 60, "max_position_embeddings": 42}
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4, "num_hidden_layers": 2}
DROPOUT = {"attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1}
COMMON = {**FEW, **SIZES, **DROPOUT, "hidden_act": "gelu", "initializer_range": 0.02}


def named(*labels):
    """id2label and label2id, with the string keys that JSON has."""
    return {
        "id2label": {str(place): label for place, label in enumerate(labels)},
        "label2id": {label: place for place, label in enumerate(labels)},
    }


ROBERTA = {
    **COMMON,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "gradient_checkpointing": False,
    "layer_norm_eps": 1e-05,
    "pad_token_id": 1,
    "position_embedding_type": "absolute",
    "type_vocab_size": 1,
    "use_cache": True,
}
DEBERTA_V3 = {
    **COMMON,
    "layer_norm_eps": 1e-07,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "pad_token_id": 0,
    "pooler_dropout": 0,
    "pooler_hidden_act": "gelu",
    "pooler_hidden_size": 16,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "position_buckets": 8,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
    "model_type": "deberta-v2",
    "architectures": ["DebertaV2ForSequenceClassification"],
}
EMOTIONS = "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval "
EMOTIONS += "disgust embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization "
EMOTIONS += "relief remorse sadness surprise neutral"
LANGUAGES = "ja nl ar pl de it pt tr es hi el ur bg en fr zh ru th sw vi"

CONFIGS = {  # name on the hub -> its config.json
    "distilbert-base-uncased-finetuned-sst-2-english": {
        **FEW,
        "activation": "gelu",
        "architectures": ["DistilBertForSequenceClassification"],
        "attention_dropout": 0.1,
        "dim": 16,
        "dropout": 0.1,
        "finetuning_task": "sst-2",
        "hidden_dim": 24,
        **named("NEGATIVE", "POSITIVE"),
        "initializer_range": 0.02,
        "model_type": "distilbert",
        "n_heads": 4,
        "n_layers": 2,
        "output_past": True,
        "pad_token_id": 0,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
    },
    "cardiffnlp/twitter-roberta-base-sentiment-latest": {
        **ROBERTA,
        "_name_or_path": "tweeteval_new/roberta-base-latest-sentiment/",
        "architectures": ["RobertaForSequenceClassification"],
        "classifier_dropout": None,
        **named("negative", "neutral", "positive"),
        "model_type": "roberta",
        "torch_dtype": "float32",
        "transformers_version": "4.13.0.dev0",
    },
    "SamLowe/roberta-base-go_emotions": {
        **ROBERTA,
        "_name_or_path": "roberta-base",
        "architectures": ["RobertaForSequenceClassification"],
        "classifier_dropout": None,
        **named(*EMOTIONS.split()),
        "model_type": "roberta",
        "problem_type": "multi_label_classification",
        "torch_dtype": "float32",
    },
    "ProsusAI/finbert": {
        **COMMON,
        "_name_or_path": "/home/ubuntu/finbert/models/language_model/finbertTRC2",
        "architectures": ["BertForSequenceClassification"],
        "gradient_checkpointing": False,
        **named("positive", "negative", "neutral"),
        "layer_norm_eps": 1e-12,
        "model_type": "bert",
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "type_vocab_size": 2,
    },
    "nlptown/bert-base-multilingual-uncased-sentiment": {
        **COMMON,
        "_num_labels": 5,
        "architectures": ["BertForSequenceClassification"],
        "directionality": "bidi",
        "finetuning_task": "sentiment-analysis",
        **named("1 star", "2 stars", "3 stars", "4 stars", "5 stars"),
        "layer_norm_eps": 1e-12,
        "model_type": "bert",
        "output_past": True,
        "pad_token_id": 0,
        "pooler_fc_size": 768,
        "pooler_num_attention_heads": 12,
        "pooler_num_fc_layers": 3,
        "pooler_size_per_head": 128,
        "pooler_type": "first_token_transform",
        "type_vocab_size": 2,
    },
    "papluca/xlm-roberta-base-language-detection": {
        **ROBERTA,
        "_name_or_path": "xlm-roberta-base",
        "architectures": ["XLMRobertaForSequenceClassification"],
        **named(*LANGUAGES.split()),
        "model_type": "xlm-roberta",
        "output_past": True,
        "problem_type": "single_label_classification",
        "torch_dtype": "float32",
    },
    "MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli": {
        **DEBERTA_V3,
        "_name_or_path": "./results/base/nli-few-shot/MNLI_FEVER_ANLI",
        **named("entailment", "neutral", "contradiction"),
        "torch_dtype": "float32",
    },
    "protectai/deberta-v3-base-prompt-injection-v2": {
        **DEBERTA_V3,
        "_name_or_path": "protectai/deberta-v3-base-prompt-injection",
        **named("SAFE", "INJECTION"),
        "legacy": True,
        "pos_att_type": "p2c|c2p",
        "problem_type": "single_label_classification",
    },
    "j-hartmann/emotion-english-distilroberta-base": {
        **ROBERTA,
        "_name_or_path": "distilroberta-base",
        "architectures": ["RobertaForSequenceClassification"],
        **named("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"),
        "model_type": "roberta",
        "problem_type": "single_label_classification",
    },
    "BAAI/bge-reranker-base": {
        **ROBERTA,
        "_name_or_path": "BAAI/bge-reranker-base",
        "architectures": ["XLMRobertaForSequenceClassification"],
        "classifier_dropout": None,
        **named("LABEL_0"),
        "model_type": "xlm-roberta",
        "output_past": True,
        "torch_dtype": "float32",
    },
}


def write_config(folder, name, **changes):
    """The config.json of that checkpoint in a folder; a change to None leaves the key out."""
    values = {key: value for key, value in (CONFIGS[name] | changes).items() if value is not None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values, indent=2), encoding="utf-8")
    return values
