// The activations of feed-forward layers by number (enum kernel_activation).
const uint SILU = 0;
const uint GELU_TANH = 1;
const uint GELU = 2;       // exact, by way of erf
const uint GELU_QUICK = 3; // x * sigmoid(1.702 x)

// Abramowitz and Stegun 7.1.26, within 1.5e-7.
float erf(float v)
{
    float t = 1.0 / (1.0 + 0.3275911 * abs(v));
    float sum =
        ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t +
         0.254829592) *
        t;

    return sign(v) * (1.0 - sum * exp(-v * v));
}

float activate(uint kind, float v)
{
    if (kind == SILU)
        return v / (1.0 + exp(-v));
    if (kind == GELU_QUICK)
        return v / (1.0 + exp(-1.702 * v));
    if (kind == GELU)
        return 0.5 * v * (1.0 + erf(v * 0.7071067811865476));
    // tanh(u) = 1 - 2 / (exp(2 u) + 1), which cannot become inf / inf.
    float u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
    return 0.5 * v * (2.0 - 2.0 / (exp(2.0 * u) + 1.0));
}
