// One step of the standard recurrent cells for one row of n hidden features.

/// Gates i, o, f, c (n each): projections come in, activations go out. `state` is c_{t-1} and becomes c_t.
static void lstm_step(float *gates, const float *recurrent, float *state, float *cell, float *hidden, float *output,
                      int64_t n) {
    VK_LOOP {
        float in = sigmoid_f(gates[i] + recurrent[i]);
        float out = sigmoid_f(gates[n + i] + recurrent[n + i]);
        float forget = sigmoid_f(gates[2 * n + i] + recurrent[2 * n + i]);
        float candidate = tanh_f(gates[3 * n + i] + recurrent[3 * n + i]);
        float c = forget * state[i] + in * candidate;
        float h = out * tanh_f(c);
        gates[i] = in;
        gates[n + i] = out;
        gates[2 * n + i] = forget;
        gates[3 * n + i] = candidate;
        state[i] = c;
        cell[i] = c;
        hidden[i] = h;
        output[i] = h;
    }
}

/// `dh` is what later steps and the output ask of h_t; it is used up, and `dc` becomes the gradient of c_{t-1}.
static void lstm_step_gradient(const float *gates, const float *cell, const float *previous, float *dh, float *dc,
                               float *out, int64_t n) {
    VK_LOOP {
        float in = gates[i], open = gates[n + i], forget = gates[2 * n + i], candidate = gates[3 * n + i];
        float t = tanh_f(cell[i]);
        float d = dc[i] + dh[i] * open * ((1.0f - t) * (1.0f + t));
        out[i] = d * candidate * in * (1.0f - in);
        out[n + i] = dh[i] * t * open * (1.0f - open);
        out[2 * n + i] = d * previous[i] * forget * (1.0f - forget);
        out[3 * n + i] = d * in * ((1.0f - candidate) * (1.0f + candidate));
        dc[i] = d * forget;
        dh[i] = 0.0f;
    }
}

/// Gates z, r, h (n each): projections come in, activations go out; the reset gate works behind the recurrent weights.
/// `state` is h_{t-1} and becomes h_t.
static void gru_step(float *gates, const float *recurrent, float *state, float *candidates, float *output, int64_t n) {
    VK_LOOP {
        float update = sigmoid_f(gates[i] + recurrent[i]);
        float reset = sigmoid_f(gates[n + i] + recurrent[n + i]);
        float projected = recurrent[2 * n + i];
        float candidate = tanh_f(gates[2 * n + i] + reset * projected);
        float h = candidate + update * (state[i] - candidate);
        gates[i] = update;
        gates[n + i] = reset;
        gates[2 * n + i] = candidate;
        candidates[i] = projected;
        state[i] = h;
        output[i] = h;
    }
}

/// `dh` becomes what h_{t-1} is asked for directly; the recurrent weights add to it.
static void gru_step_gradient(const float *gates, const float *candidates, const float *previous, float *dh, float *out,
                              float *recurrent, int64_t n) {
    VK_LOOP {
        float update = gates[i], reset = gates[n + i], candidate = gates[2 * n + i];
        float d = dh[i] * (1.0f - update) * ((1.0f - candidate) * (1.0f + candidate));
        float du = dh[i] * (previous[i] - candidate) * update * (1.0f - update);
        float dr = d * candidates[i] * reset * (1.0f - reset);
        out[i] = du;
        out[n + i] = dr;
        out[2 * n + i] = d;
        recurrent[i] = du;
        recurrent[n + i] = dr;
        recurrent[2 * n + i] = d * reset;
        dh[i] *= update;
    }
}
