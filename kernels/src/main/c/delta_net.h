/* The operations of a Gated DeltaNet layer, included by kernels.c. */

/* ---- convolution ---- */

struct convolution {
    const float *u, *weight;
    float *state, *y;
    int32_t rows, channels;
};

/* All rows for T vectors of channels from c on, which are whole if `full`. The inputs that the taps reach back to stay in registers. */
INLINE void conv_tile(const int32_t width, const int T, const int full, const struct convolution *p, int32_t c,
                      int32_t left) {
    const size_t channels = (size_t)p->channels;
    const int32_t kept = width - 1;
    v16 w[MAX_CONV_WIDTH][CONV_WIDE], last[MAX_CONV_WIDTH][CONV_WIDE]; /* tap by tap; the inputs of a row, oldest first */
    for (int t = 0; t < T; t++) {
        for (int32_t j = 0; j < width; j++) {
            w[j][t] = v_part(full, p->weight + j * channels + c + t * LANES, left - t * LANES);
        }
        for (int32_t j = 0; j < kept; j++) {
            last[j][t] = v_part(full, p->state + j * channels + c + t * LANES, left - t * LANES);
        }
    }
    for (int32_t r = 0; r < p->rows; r++) {
        for (int t = 0; t < T; t++) {
            last[kept][t] = v_part(full, p->u + r * channels + c + t * LANES, left - t * LANES);
            v16 sum = v_zero();
            for (int32_t j = 0; j < width; j++) {
                sum = v_fma(w[j][t], last[j][t], sum);
            }
            v_put_part(full, p->y + r * channels + c + t * LANES, v_silu(sum), left - t * LANES);
            for (int32_t j = 0; j < kept; j++) {
                last[j][t] = last[j + 1][t];
            }
        }
    }
    for (int t = 0; t < T; t++) {
        for (int32_t j = 0; j < kept; j++) {
            v_put_part(full, p->state + j * channels + c + t * LANES, last[j][t], left - t * LANES);
        }
    }
}

static void causal_conv(const float *u, const float *weight, float *state, float *y, int32_t rows, int32_t channels,
                        int32_t width, int32_t channel_begin, int32_t channel_end) {
    const struct convolution p = {u, weight, state, y, rows, channels};
    int32_t c = channel_begin;
    if (width == 4) { /* the width of every released model */
        for (; c + CONV_WIDE * LANES <= channel_end; c += CONV_WIDE * LANES) {
            conv_tile(4, CONV_WIDE, 1, &p, c, CONV_WIDE * LANES);
        }
    }
    for (; c < channel_end; c += LANES) {
        conv_tile(width, 1, 0, &p, c, channel_end - c);
    }
}

/* ---- the delta rule ---- */

static void delta_gates(const float *a, const float *b, const float *a_log, const float *dt_bias, float *decay,
                        float *beta, int32_t rows, int32_t heads) {
    for (int32_t h = 0; h < heads; h += LANES) {
        const int32_t left = heads - h;
        const v16 rate = v_exp(v_get(a_log + h, left));
        const v16 bias = v_get(dt_bias + h, left);
        for (int32_t r = 0; r < rows; r++) {
            const size_t at = (size_t)r * heads + h;
            const v16 step = v_softplus(v_add(v_get(a + at, left), bias));
            v_put(decay + at, v_exp(v_neg(v_mul(rate, step))), left);
            v_put(beta + at, v_sigmoid(v_get(b + at, left)), left);
        }
    }
}

struct delta_rows {
    const float *q, *k, *v, *decay, *beta;
    float *out;
    int32_t rows, key_dim, value_dim;
    size_t qkv_stride, gate_stride, out_stride;
};

/* Ends row r, whose products with its key are m, and begins the next one if there is `more`: then the state is left
 * as that row decays it, and m becomes its products. So a row reads the state once and writes it once. */
INLINE void delta_pass(const int T, const int full, const int decayed, const int more, const struct delta_rows *p,
                       float *state, int32_t column, int32_t r, v16 *m) {
    const int32_t left = p->value_dim - column;
    const float *q = p->q + r * p->qkv_stride, *k = p->k + r * p->qkv_stride;
    const float *v = p->v + r * p->qkv_stride + column;
    const float *next_k = k + (more ? p->qkv_stride : 0);
    const v16 beta = v_set1(p->beta[r * p->gate_stride]), decay = v_set1(p->decay[r * p->gate_stride]);
    const v16 next_decay = v_set1(p->decay[(more ? r + 1 : r) * p->gate_stride]);
    v16 d[DELTA_WIDE], o[DELTA_WIDE];
    for (int t = 0; t < T; t++) {
        d[t] = v_mul(beta, v_sub(v_part(full, v + t * LANES, left - t * LANES), m[t]));
        m[t] = o[t] = v_zero();
    }
    float *s = state + column;
    for (int32_t i = 0; i < p->key_dim; i++, s += p->value_dim) {
        const v16 key = v_set1(k[i]), query = v_set1(q[i]), next_key = v_set1(next_k[i]);
        for (int t = 0; t < T; t++) {
            v16 value = v_part(full, s + t * LANES, left - t * LANES);
            value = v_fma(key, d[t], decayed ? value : v_mul(value, decay));
            o[t] = v_fma(query, value, o[t]);
            if (more) {
                value = v_mul(value, next_decay);
                m[t] = v_fma(next_key, value, m[t]);
            }
            v_put_part(full, s + t * LANES, value, left - t * LANES);
        }
    }
    for (int t = 0; t < T; t++) {
        v_put_part(full, p->out + r * p->out_stride + column + t * LANES, o[t], left - t * LANES);
    }
}

/* All rows for T vectors of a head's values, which are whole if `full`: a strip of the state that stays in the cache. */
INLINE void delta_tile(const int T, const int full, const struct delta_rows *p, float *state, int32_t column) {
    const int32_t left = p->value_dim - column, last = p->rows - 1;
    const v16 decay = v_set1(p->decay[0]);
    const float *s = state + column;
    v16 m[DELTA_WIDE];
    for (int t = 0; t < T; t++) {
        m[t] = v_zero();
    }
    for (int32_t i = 0; i < p->key_dim; i++, s += p->value_dim) {
        const v16 key = v_set1(p->k[i]);
        for (int t = 0; t < T; t++) {
            m[t] = v_fma(key, v_mul(v_part(full, s + t * LANES, left - t * LANES), decay), m[t]);
        }
    }
    if (last == 0) {
        delta_pass(T, full, 0, 0, p, state, column, 0, m);
        return;
    }
    delta_pass(T, full, 0, 1, p, state, column, 0, m);
    for (int32_t r = 1; r < last; r++) {
        delta_pass(T, full, 1, 1, p, state, column, r, m);
    }
    delta_pass(T, full, 1, 0, p, state, column, last, m);
}

static void gated_delta_rule(const float *qkv, const float *decay, const float *beta, float *state, float *out,
                             int32_t rows, int32_t key_heads, int32_t value_heads, int32_t key_dim, int32_t value_dim,
                             int32_t head_begin, int32_t head_end) {
    if (rows == 0) {
        return;
    }
    const size_t keys = (size_t)key_heads * key_dim;
    for (int32_t h = head_begin; h < head_end; h++) {
        const float *q = qkv + (size_t)(h / (value_heads / key_heads)) * key_dim;
        const struct delta_rows p = {
            .q = q,
            .k = q + keys,
            .v = qkv + 2 * keys + (size_t)h * value_dim,
            .decay = decay + h,
            .beta = beta + h,
            .out = out + (size_t)h * value_dim,
            .rows = rows,
            .key_dim = key_dim,
            .value_dim = value_dim,
            .qkv_stride = 2 * keys + (size_t)value_heads * value_dim,
            .gate_stride = value_heads,
            .out_stride = (size_t)value_heads * value_dim,
        };
        float *head_state = state + (size_t)h * key_dim * value_dim;
        int32_t column = 0;
        for (; column + DELTA_WIDE * LANES <= value_dim; column += DELTA_WIDE * LANES) {
            delta_tile(DELTA_WIDE, 1, &p, head_state, column);
        }
        for (; column < value_dim; column += LANES) {
            delta_tile(1, 0, &p, head_state, column);
        }
    }
}
