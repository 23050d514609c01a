// Branch-free float functions that the compiler turns into vector code inside a loop over them. Included once per
// instruction set. Polynomials are our own minimax fits in the intervals named; contraction to FMA is welcome.

#define VK_INLINE static inline __attribute__((always_inline))

/// Lets the calling thread take numbers below the least normal one for zeros; returns what it did before.
VK_INLINE uint32_t flush_denormals(void) {
#if defined(__x86_64__)
    uint32_t control = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(control | 0x8040);
    return control;
#else
    return 0;
#endif
}

VK_INLINE void restore_denormals(uint32_t control) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(control);
#else
    (void)control;
#endif
}

VK_INLINE uint32_t bits_of(float x) {
    union { float f; uint32_t u; } v = {.f = x};
    return v.u;
}

VK_INLINE float float_of(uint32_t u) {
    union { uint32_t u; float f; } v = {.u = u};
    return v.f;
}

VK_INLINE float absolute(float x) { return float_of(bits_of(x) & 0x7fffffffu); }

VK_INLINE float with_sign(float magnitude, float sign) {
    return float_of((bits_of(magnitude) & 0x7fffffffu) | (bits_of(sign) & 0x80000000u));
}

VK_INLINE float square_root(float x) { return __builtin_elementwise_sqrt(x); }

/// exp(x) - 1 - r of the reduced argument, |r| <= ln 2 / 2, as r^2 times this.
VK_INLINE float exp_tail(float r) {
    return 0.5f + r * (0.166665167f + r * (0.0416662022f + r * (0.00836907327f + r * 0.00139508094f)));
}

#define VK_ROUNDER 12582912.0f // 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits
#define VK_LOG2_E 1.44269504f
#define VK_LN2_HIGH 0.693145752f // 16 significant bits, so that n * it is exact
#define VK_LN2_LOW 1.42860677e-6f

VK_INLINE float exp_f(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float shifted = x * VK_LOG2_E + VK_ROUNDER;
    float n = shifted - VK_ROUNDER;
    float r = x - n * VK_LN2_HIGH;
    r = r - n * VK_LN2_LOW;
    float p = 1.0f + (r + r * r * exp_tail(r));
    // 2^n in two factors, so that subnormal results and n = 128 come out right.
    int32_t k = (int32_t)(bits_of(shifted) - bits_of(VK_ROUNDER));
    int32_t half = k >> 1;
    return p * float_of((uint32_t)(half + 127) << 23) * float_of((uint32_t)(k - half + 127) << 23);
}

/// exp(x) - 1 for x <= 0, without cancellation near 0.
VK_INLINE float expm1_negative(float x) {
    x = x < -25.0f ? -25.0f : x;
    float shifted = x * VK_LOG2_E + VK_ROUNDER;
    float n = shifted - VK_ROUNDER;
    float r = x - n * VK_LN2_HIGH;
    r = r - n * VK_LN2_LOW;
    float p = r + r * r * exp_tail(r);
    int32_t k = (int32_t)(bits_of(shifted) - bits_of(VK_ROUNDER));
    float scale = float_of((uint32_t)(k + 127) << 23);
    return scale * p + (scale - 1.0f);
}

VK_INLINE float log_f(float x) {
    int tiny = x < 1.17549435e-38f;
    float scaled = tiny ? x * 8388608.0f : x;
    uint32_t bits = bits_of(scaled) - 0x3f3504f3u; // mantissa into [sqrt(1/2), sqrt(2))
    float n = (float)((int32_t)bits >> 23) - (tiny ? 23.0f : 0.0f);
    float f = float_of((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float s = f / (2.0f + f);
    float z = s * s;
    float tail = z * (0.666666627f + z * (0.400003374f + z * (0.285371602f + z * 0.235851735f)));
    float halved = 0.5f * f * f;
    float y = n * VK_LN2_HIGH + (f - (halved - (s * (halved + tail) + n * VK_LN2_LOW)));
    y = x == __builtin_inff() ? x : y;
    y = x == 0.0f ? -__builtin_inff() : y;
    return x >= 0.0f ? y : __builtin_nanf(""); // a negative x, or NaN
}

/// log(1 + u) for 0 <= u <= 1.
VK_INLINE float log1p_unit(float u) {
    float s = u / (2.0f + u);
    float z = s * s;
    float p = 0.22301500f + z * (0.17147851f + z * 0.21792394f);
    p = 0.666666687f + z * (0.400000542f + z * (0.28568396f + z * p));
    return 2.0f * s + s * z * p;
}

VK_INLINE float sigmoid_f(float x) {
    float e = exp_f(-absolute(x));
    float d = 1.0f / (1.0f + e);
    return x >= 0.0f ? d : e * d;
}

/// sigmoid(x) (1 - sigmoid(x)), exact in both tails.
VK_INLINE float sigmoid_slope(float x) {
    float e = exp_f(-absolute(x));
    float d = 1.0f / (1.0f + e);
    return e * d * d;
}

VK_INLINE float tanh_f(float x) {
    float t = absolute(x);
    float z = x * x;
    float p = -0.333332837f + z * (0.133314908f + z * (-0.0537434965f + z * (0.0206505861f + z * -0.0057170447f)));
    float small = x + x * z * p;
    float large = with_sign(1.0f - 2.0f / (exp_f(2.0f * t) + 1.0f), x);
    return t < 0.625f ? small : large;
}

/// 1 - tanh(x)^2, exact in both tails.
VK_INLINE float tanh_slope(float x) { return 4.0f * sigmoid_slope(2.0f * x); }

VK_INLINE float erf_f(float x) {
    float t = absolute(x);
    float z = x * x;
    float p = 0.00519129215f + z * (-0.000803503382f + z * 7.93311629e-05f);
    p = -0.376126319f + z * (0.112836301f + z * (-0.0268554837f + z * p));
    float small = 1.12837917f * x + x * z * p;
    // log(erfc(t)) on [1, 4]; beyond 4 the result is 1 in float.
    t = t > 4.0f ? 4.0f : t;
    float q = 0.0252082404f + t * (-0.00420455635f + t * (0.000441335287f + t * -2.16867629e-05f));
    q = 0.00018803704f + t * (-1.12957835f + t * (-0.633219898f + t * (-0.108418554f + t * q)));
    float large = with_sign(1.0f - exp_f(q), x);
    return t < 1.0f ? small : large;
}

VK_INLINE float softplus_f(float x) { return (x > 0.0f ? x : 0.0f) + log1p_unit(exp_f(-absolute(x))); }

/// x * weight where a weight of exactly 0 wins over an infinite x.
VK_INLINE float gated(float x, float weight) { return weight == 0.0f ? 0.0f : x * weight; }

VK_INLINE float normal_cdf(float x) { return 0.5f + 0.5f * erf_f(x * 0.707106781f); }
VK_INLINE float normal_pdf(float x) { return 0.398942280f * exp_f(-0.5f * x * x); }

/// The argument 2 u of geluTanh(x) = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3).
VK_INLINE float gelu_argument(float x) { return x * (1.59576912f + 0.0713548163f * x * x); }

/// tanh(softplus(x)) = m / (m + 2) with m = e (e + 2), e = exp(x); returns m.
VK_INLINE float mish_exponent(float x) {
    float e = exp_f(x > 30.0f ? 30.0f : x);
    return e * (e + 2.0f);
}

VK_INLINE float mish_slope(float x) {
    float d = 1.0f / (mish_exponent(x) + 2.0f);
    float t = 1.0f - 2.0f * d;
    t = x < 0.0f ? mish_exponent(x) * d : t;
    float sech2 = 2.0f * d * (1.0f + t);
    return t + gated(x, x > 20.0f ? 0.0f : sech2 * sigmoid_f(x));
}

VK_INLINE float signum(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }

VK_INLINE float clamp(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}
