"""Every tolerance of the tests, with its reason. Relative error is max|a - b| / max|b| over an array."""

GOLDEN_LOGITS = 1e-12  # float64, whole models of up to 12 layers; measured 3e-15
GOLDEN_GRADIENT = 1e-12  # likewise; measured 3e-15
GOLDEN_BERT_LRP = 1e-12  # likewise; measured 1.4e-13. The plain gradient comes within 1e-5, so looser shows nothing
GOLDEN_ATTNLRP_TWIN = 1e-12  # with LXT's own f(x) / (x + 1e-10); measured 2e-15
GOLDEN_ATTNLRP = 1e-7  # with the closed form that ships; measured 3e-8, all of it LXT's 1e-10
RULE = 1e-9  # float64, one op against an oracle or by hand: only rounding
FORWARD = 1e-12  # float64, logits under a composite against the plain model; measured 2e-15
BATCH = 1e-5  # float32, one row alone against in a padded batch; measured 1e-6
CONSERVATION = 1e-9  # float64, sums of relevance over one op or a bias-free model
BFLOAT16 = 0.05  # of the largest score: 8 bits of mantissa over a few layers; measured 0.01
PARITY_FLOAT64 = 1e-9  # absolute, logits of order 1 against transformers; measured 7e-16
PARITY_FLOAT32 = 1e-5  # absolute, likewise, 3 layers of width 16; measured 3e-7
PARITY_REAL_MODEL = 1e-4  # absolute, float32, 6 layers of width 384; measured 2e-6
