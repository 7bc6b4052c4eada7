"""Every rule a second time: NumPy float64, loops over indices, written from the equations alone.

Each takes the op's inputs and what arrives from above, and returns what goes to the (first) input.
"""

import math

import numpy as np


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def quotient(name: str, x: float) -> float:
    """f(x) / x, by the definition of f, for x that is not near 0."""
    functions = {
        "gelu": lambda x: x * normal_cdf(x),
        "gelu_tanh": lambda x: x * 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))),
        "relu": lambda x: max(x, 0.0),
        "silu": lambda x: x / (1 + math.exp(-x)),
        "tanh": math.tanh,
    }
    return functions[name](x) / x


def secant(name, x, c):
    return np.array([[quotient(name, x[i, j]) * c[i, j] for j in range(x.shape[1])] for i in range(x.shape[0])])


def skipped(name, x, relevance):
    return relevance.copy()


def halved(a, b, c):
    """For y[i, k] = Σ_j a[i, j] b[j, k]: the relevance a * c_in of every factor, from contributions."""
    to_a, to_b = np.zeros_like(a), np.zeros_like(b)
    for i in range(a.shape[0]):
        for k in range(b.shape[1]):
            for j in range(a.shape[1]):
                contribution = a[i, j] * b[j, k] * c[i, k]
                to_a[i, j] += contribution / 2
                to_b[j, k] += contribution / 2
    return to_a, to_b


def blended(weights, value, c, blend):
    """For the context y[t, k] = Σ_s w[t, s] v[s, k]: the relevance of every factor, ½ blend of it to the weights."""
    to_weights, to_value = np.zeros_like(weights), np.zeros_like(value)
    for t, s, k in np.ndindex(*weights.shape, value.shape[1]):
        contribution = weights[t, s] * value[s, k] * c[t, k]
        to_weights[t, s] += contribution * blend / 2
        to_value[s, k] += contribution * (1 - blend / 2)
    return to_weights, to_value


def gate_halved(activated, linear, c):
    """For y = a g: half of the relevance y c of each element, over a."""
    found = np.zeros_like(activated)
    for place in np.ndindex(*activated.shape):
        found[place] = 0.5 * activated[place] * linear[place] * c[place] / activated[place]
    return found


def gate_detached(activated, linear, c):
    """For y = a g: all of the relevance y c of each element, over g."""
    found = np.zeros_like(linear)
    for place in np.ndindex(*linear.shape):
        found[place] = activated[place] * linear[place] * c[place] / linear[place]
    return found


def turned(x, theta):
    """x [T, K] of places 0, 1, …: each pair of features k and k + K/2 as a complex number, turned by its angle."""
    tokens, width = x.shape
    found = np.zeros_like(x)
    for t in range(tokens):
        for k in range(width // 2):
            angle = t / theta ** (2 * k / width)
            turn = complex(x[t, k], x[t, k + width // 2]) * complex(math.cos(angle), math.sin(angle))
            found[t, k], found[t, k + width // 2] = turn.real, turn.imag
    return found


def softmax(scores, mask, relevance):
    """AttnLRP: R_i = x_i (R(s_i) - s_i Σ_j R(s_j)), in relevance at both ends."""
    found = np.zeros_like(scores)
    for i, row in enumerate(scores):
        seen = [j for j in range(len(row)) if mask[i, j]]
        top = max((row[j] for j in seen), default=0.0)
        total = sum(math.exp(row[j] - top) for j in seen)
        for j in seen:
            s = math.exp(row[j] - top) / total
            found[i, j] = row[j] * (relevance[i, j] - s * sum(relevance[i, k] for k in seen))
    return found


def frozen(x, scale, bias, epsilon, c):
    found = np.zeros_like(x)
    for i, row in enumerate(x):
        width = len(row)
        mean = sum(row) / width
        deviation = math.sqrt(sum((value - mean) ** 2 for value in row) / width + epsilon)
        for j in range(width):
            for k in range(width):
                weight = ((1.0 if j == k else 0.0) - 1 / width) * scale[k] / deviation
                found[i, j] += weight * c[i, k]
    return found


def to_multiplier(logits, relevance):
    epsilon = np.finfo(logits.dtype).eps
    pairs = zip(logits.ravel(), relevance.ravel(), strict=True)
    return np.array([r / (epsilon if z == 0 else z) for z, r in pairs]).reshape(logits.shape)


def to_relevance(x, c):
    return np.array([[x[i, j] * c[i, j] for j in range(x.shape[1])] for i in range(x.shape[0])])


def whole_block(x, kernel, bias, relevance):
    """For the block tanh(x W + b) of the first token: relevance + its plain gradient + its rules."""
    found = np.zeros_like(x)
    for row in range(x.shape[0]):
        first, above = x[row, 0], relevance[row, 0]
        found[row, 0] = above + signed_weights(first[None], kernel, bias, above[None])[0]
        for k in range(len(bias)):
            y = math.tanh(bias[k] + sum(first[j] * kernel[j, k] for j in range(len(first))))
            for j in range(len(first)):
                found[row, 0, j] += kernel[j, k] * (1 - y * y) * above[k]
    return found


def signed_weights(x, kernel, bias, relevance, stabilizer=1e-7):
    rows, inputs, outputs = x.shape[0], *kernel.shape
    found = np.zeros_like(x)
    for t in range(rows):
        for k in range(outputs):
            up = max(bias[k], 0) + sum(x[t, j] * kernel[j, k] for j in range(inputs) if kernel[j, k] > 0) + stabilizer
            down = min(bias[k], 0) + sum(x[t, j] * kernel[j, k] for j in range(inputs) if kernel[j, k] < 0) - stabilizer
            for j in range(inputs):
                share = kernel[j, k] / (up if kernel[j, k] > 0 else down)
                found[t, j] += 0.5 * x[t, j] * share * relevance[t, k]
        size = sum(abs(value) for value in found[t])
        total = sum(relevance[t])
        for j in range(inputs):
            found[t, j] = abs(found[t, j]) * (total + stabilizer) / (size + stabilizer)
    return found


def contributions(x, kernel):
    """x_i W_ij of one row: [D, F]."""
    return [[x[i] * kernel[i, j] for j in range(kernel.shape[1])] for i in range(kernel.shape[0])]


def shared(x, kernel, bias, c, weight_of):
    """R_i / x_i where contribution n of output j, of parts (contributions, bias), gets weight_of(n, parts, z) R_j."""
    found = np.zeros_like(x)
    for t in range(x.shape[0]):
        parts = contributions(x[t], kernel)
        for j in range(kernel.shape[1]):
            column = [parts[i][j] for i in range(kernel.shape[0])]
            z = sum(column) + bias[j]
            for i, n in enumerate(column):
                found[t, i] += weight_of(n, [*column, bias[j]], z) * z * c[t, j] / x[t, i]
    return found


def epsilon(x, kernel, bias, c, epsilon):
    return shared(x, kernel, bias, c, lambda n, parts, z: n / (z + (epsilon if z >= 0 else -epsilon)))


def gamma(x, kernel, bias, c, gamma):
    def counted(n, z):
        return n * (1 + gamma) if (n > 0) == (z >= 0) else n

    return shared(x, kernel, bias, c, lambda n, parts, z: counted(n, z) / sum(counted(part, z) for part in parts))


def alpha_beta(x, kernel, bias, c, alpha, stabilizer):
    def weight(n, parts, z):
        if n > 0:
            return alpha * n / (sum(part for part in parts if part > 0) + stabilizer)
        return (1 - alpha) * n / (sum(part for part in parts if part < 0) - stabilizer)

    return shared(x, kernel, bias, c, weight)


def transparent(x, scale, bias, epsilon, c, stabilizer):
    """The relevance y c of each output of LayerNorm, over the stabilised input."""
    found = np.zeros_like(x)
    for i, row in enumerate(x):
        mean = sum(row) / len(row)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in row) / len(row) + epsilon)
        for j, value in enumerate(row):
            y = (value - mean) / deviation * scale[j] + bias[j]
            found[i, j] = y * c[i, j] / (value + math.copysign(stabilizer, value))
    return found


def ratio(a, b, c):
    """For y = a + b: the relevance y c by the sizes of a and b, over a."""
    found = np.zeros_like(a)
    for place in np.ndindex(*a.shape):
        share = abs(a[place]) / (abs(a[place]) + abs(b[place]))
        found[place] = share * (a[place] + b[place]) * c[place] / a[place]
    return found


def context(query, key, value, mask):
    """Attention of one head: query, key, value [T, K], mask [T] -> [T, K]; also of complex numbers."""
    tokens, width = query.shape
    found = np.zeros_like(value)
    for t in range(tokens):
        weights = [np.exp(query[t] @ key[s] / math.sqrt(width)) if mask[s] else 0 for s in range(tokens)]
        for s in range(tokens):
            found[t] += weights[s] / sum(weights) * value[s]
    return found


def jacobian(inputs, mask, relevance, stabilizer=1e-7):
    """The original's attention rule for one head: inputs (query, key, value), each [T, K].

    The Jacobian by complex steps, M entry by entry, the sums over outputs by loops.
    """
    step, columns, places = 1e-30, [], []
    for which, part in enumerate(inputs):
        for place in np.ndindex(*part.shape):
            moved = [array.astype(complex) for array in inputs]
            moved[which][place] += 1j * step
            columns.append(context(*moved, mask).imag / step * part[place])
            places.append((which, place))
    found = [np.zeros_like(part) for part in inputs]
    for column, (which, place) in zip(columns, places, strict=True):
        outputs = [entry for entry in np.ndindex(*column.shape) if mask[entry[0]]]
        up = sum(column[entry] for entry in outputs if column[entry] > 0) + stabilizer
        down = sum(column[entry] for entry in outputs if column[entry] < 0) - stabilizer
        for entry in outputs:
            found[which][place] += 0.5 * relevance[entry] * column[entry] / (up if column[entry] > 0 else down)
    size = sum(abs(part).sum() for part in found)
    return [part * abs(relevance).sum() / (size + stabilizer) for part in found]


def deberta_row(distance, own):
    """The row of DeBERTa's table of a distance i - j, by its definition in float64."""
    size, span, middle = abs(distance), own.span, own.position_buckets // 2
    if own.position_buckets > 0 and size > middle:
        share = math.log(size / middle) / math.log((own.max_relative_positions - 1) / middle)
        size = math.ceil(share * (middle - 1) - 1e-9) + middle  # a whole number may come out a little above itself
        distance = size if distance > 0 else -size
    return min(max(distance + span, 0), 2 * span - 1)


def deberta_positions(config, params, name):
    """The keys or queries of every row of the table, [R, H, K]."""
    table, own = params["relative"]["table"], params["last_layer"]
    if config.details.norm_rel_ebd:
        norm = params["relative"]["norm"]
        deviation = np.sqrt(table.var(axis=1, keepdims=True) + config.layer_norm_eps)
        table = (table - table.mean(axis=1, keepdims=True)) / deviation * norm["scale"] + norm["bias"]
    linear = own[name if config.details.share_att_key else f"position_{name}"]
    found = table @ linear["kernel"] + linear["bias"]
    return found.reshape(len(found), config.num_attention_heads, -1)


def disentangled(config, params, query, key, c, share):
    """DeBERTa's scores, and what c gives to queries and keys: half of q k each, `share` of a product with positions."""
    own, scale = config.details, math.sqrt(config.head_width * (1 + len(config.details.pos_att_type)))
    to_query, to_key, scores = np.zeros_like(query), np.zeros_like(key), np.zeros(c.shape)
    keys = deberta_positions(config, params, "key") if "c2p" in own.pos_att_type else None
    queries = deberta_positions(config, params, "query") if "p2c" in own.pos_att_type else None
    for b, h, i, j in np.ndindex(*c.shape):
        row, above = deberta_row(i - j, own), c[b, h, i, j] / scale
        q, k = query[b, i, h], key[b, j, h]
        scores[b, h, i, j] += q @ k / scale
        to_query[b, i, h] += above * k / 2
        to_key[b, j, h] += above * q / 2
        if keys is not None:
            scores[b, h, i, j] += q @ keys[row, h] / scale
            to_query[b, i, h] += above * keys[row, h] * share
        if queries is not None:
            scores[b, h, i, j] += k @ queries[row, h] / scale
            to_key[b, j, h] += above * queries[row, h] * share
    return scores, to_query, to_key


def mpnet_bucket(distance):
    """MPNet's bucket of a distance i - j; the logarithm of 8 is not exact, so a little is added to whole numbers."""
    size, half = abs(distance), 16 if distance < 0 else 0
    return half + (size if size < 8 else min(15, 8 + int(math.log(size / 8) / math.log(16) * 8 + 1e-9)))
