"""Every tolerance of the tests, with its reason. Relative error is max|a - b| / max|b| over an array."""

from autorel_jax.lrp import bert_lrp

GOLDEN_LOGITS = 1e-12  # float64, whole models of up to 12 layers; measured 3e-15
GOLDEN_GRADIENT = 1e-12  # likewise; measured 3e-15
GOLDEN_BERT_LRP = 1e-12  # likewise; measured 1.4e-13. The plain gradient comes within 1e-5, so looser shows nothing
GOLDEN_ATTNLRP_TWIN = 1e-12  # with LXT's own f(x) / (x + 1e-10); measured 2e-15
GOLDEN_ATTNLRP = 1e-7  # with the closed form that ships; measured 3e-8, all of it LXT's 1e-10
GOLDEN_FAMILIES = 1e-10  # relative, float64, 3 layers: logits, gradients and relevance; measured 3e-15
GOLDEN_METHOD = 1e-12  # as GOLDEN_LOGITS, methods that sample nothing, against Captum and attentions of transformers
GOLDEN_IG = 1e-8  # float64, 50 points, against Captum's; measured 1.1e-9
GOLDEN_LAT = 1e-6  # the original computes a part of it in float32
METHOD_EXACT = 1e-9  # float64, a method against its oracle on a model of 3 layers: only rounding
CENTRAL = 1e-8  # relative, float64, gradients by central differences of step 1e-5; measured 1e-9
METHOD_SUM = 1e-5  # absolute, float32, sums of scores that are themselves sums; measured 1e-6
COMPLETENESS = 1e-8  # of the largest difference of logits, 50 Gauss-Legendre points, a model of 3 layers
EXPECTED_GRADIENTS = 0.002  # relative, 400 points spread evenly, against the integral; measured 3e-4
SAMPLED_SHAPLEY = 0.1  # relative, 200 samples of 254 parts, each seed another error; measured 0.03
SHAPLEY_ORDERS = 0.1  # relative, 600 random orders of 8 units, likewise; measured 0.02
RULE = 1e-9  # float64, one op against an oracle or by hand: only rounding
FORWARD = 1e-12  # float64, logits under a composite against the plain model; measured 2e-15
STABILIZED = 5 * bert_lrp.STABILIZER  # its share of sums and quotients of order 1; measured 1.5 * STABILIZER
NEAR_ZERO = 5e-4  # f(x) / x at |x| = 1e-3 against its limit, from which GELU's moves by 0.4 |x|; measured 4e-4
BLOCKS = 1e-12  # relative, float64, attention by blocks against the scores as a whole; measured 3e-14 (bert_lrp)
LEDGER_BLOCKS = 1e-12  # of Σ|R|, likewise, what each op absorbs; measured 2e-15
LIBRARY_ATTENTION = 1e-5  # relative, float32, JAX's own attention on 9 tokens; measured 3e-7
BATCH = 1e-5  # float32, one row alone against in a padded batch; measured 5e-7 for all composites but bert_lrp,
#               3e-6 for logits near 0 and 1e-7 for probabilities, each relative to itself; of the methods
#               that sum many samples and solve with the sums 2e-6
BATCH_BERT_LRP = 1e-4  # likewise; measured 6e-6 and 1.6e-5 on two processors. Parameters that move by half a unit in
#               their last place change its scores by 2.7e-5, those of attnlrp by 5e-7
BATCH_FLOAT64 = 1e-12  # likewise in float64; measured 5e-16 for bert_lrp
SAME_TEXT = 1e-6  # float32, scores of one text from two calls, one target alone or among others; measured 1e-7
REMATERIALISED = 1e-6  # float32, the loss relatively, gradients of up to 3 absolutely; measured 0 and 6e-8
DROPPED = 1e-3  # absolute, what dropout of one half must move logits of order 1 by; measured 0.2
INIT_DEVIATION = 0.05  # relative, deviation of 3,840 truncated normals, whose own error is 0.01; measured 0.001
SUM_FLOAT32 = 1e-6  # absolute, sums and differences of float32 scores of order 1; measured 1.2e-7
OCCLUDED = 1e-5  # absolute, float32, a difference of two logits of order 1, by hand; measured 2e-6
SUM_FLOAT64 = 1e-13  # absolute, sums of up to 512 float64 scores of order 1 in two orders; measured 3e-15
CERTIFICATE = 1e-12  # of Σ|R|, float64, cp_lrp on a ModernBERT: Σ R against the logit but for the classifier's bias;
#                      measured 5e-16
CONSERVATION = 1e-9  # float64, sums of relevance over one op or a bias-free model
BFLOAT16 = 0.05  # of the largest score: 8 bits of mantissa over a few layers; measured 0.013 (bert_lrp)
PARITY_FLOAT64 = 1e-9  # absolute, logits of order 1 against transformers; measured 7e-16
PARITY_PARTLY_FLOAT32 = 1e-5  # likewise, where transformers itself computes in float32: ModernBERT's angles, and the
#                               queries and keys that they turn (apply_rotary_pos_emb); measured 1.1e-7
PARITY_FLOAT32 = 1e-5  # absolute, likewise, 3 layers of width 16; measured 3e-7
PARITY_VECTORS = 1e-6  # absolute, vectors of sentence embeddings around 1; measured 5e-7
PARITY_BASE = 1e-4  # relative, float32 on both sides, 12 layers of width 768; measured 1.2e-5 (MPNet), 5e-7 (DeBERTa)
PARITY_REAL_MODEL = 1e-4  # absolute, float32, 6 layers of width 384; measured 2e-6
OPTIMIZER = 1e-12  # absolute, float64, parameters of order 1 after 20 steps, against others; measured 1.3e-15
SCHEDULE = 1e-15  # absolute, float64, learning rates of order 1 by hand; measured 0, a cosine could round
GRADIENT_NORM = 1e-12  # relative, float64, the root of a sum of 75 squares in two orders; measured 0
LOSS = 1e-12  # relative, float64, a sum over 7 rows by hand or against PyTorch; measured 2e-16
LOSS_PARTS = 1e-12  # likewise, a sum in two parts; measured 0
METRIC = 1e-12  # relative and absolute, float64, means over 40 rows against loops; measured 2e-16
FLOAT16_EXPORT = 0.005  # of the largest logit: 11 bits of mantissa over a few layers; measured 5e-4
LOGGED_RATE = 1e-6  # relative, a learning rate that float32 computed, against float64; measured 1.2e-7
CORRELATION = 1e-4  # relative, of 48 float32 logits that vary little, from batches of two shapes; measured 5e-6
DEVICES_LOSSES = 1e-5  # float32, relative, losses of 20 steps on 1 to 8 devices; measured 2.2e-7
DEVICES_NORMS = 5e-5  # likewise, gradient norms, whose parts cancel more; measured 9.8e-6
DEVICES_PARAMETERS = 2e-5  # float32, absolute, all parameters after them; measured 3.4e-6, of key biases, whose
#                            gradients are 0 but for rounding, which Adam scales up; 5e-7 for the others
DEVICES_LOGITS = 1e-5  # float32, of the largest logit, and relative for metrics, after them; measured 1.4e-6
FSDP_COPIED = 0.03  # of a small model's bytes, biases and LayerNorm, which every device holds; measured 0.029 of 8
FSDP_COPIED_MINILM = 0.002  # likewise at MiniLM's size; measured 0.00096, at BERT-base's 0.0001
PROCESSES_PARAMETERS = 0.0  # two processes with a device each against one with two: the same program
PROCESSES_LOSSES = 0.0  # likewise
LEDGER_FLOAT64 = 1e-9  # of Σ|items|, what all items together miss of the target; measured 1.6e-15
LEDGER_FLOAT32 = 1e-5  # likewise; measured 5e-7; on a MiniLM 4e-7, every method
FAITHFULNESS = 1e-6  # absolute, measures of order 1, float64, against slow references; measured 1e-15
EVALUATED = 1e-5  # absolute, means of float32 probabilities, from batches of two shapes; measured 1e-7
