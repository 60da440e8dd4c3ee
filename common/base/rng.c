// xoshiro256** 1.0 by Blackman and Vigna; the state is filled by splitmix64 (Steele, Lea and
// Flood).
#include "rng.h"

#include "bytes.h"

void rng_init(struct rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        seed += 0x9E3779B97F4A7C15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t rng_u64(struct rng *r) {
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

void rng_16_bytes(struct rng *r, uint8_t out[16]) {
    be64_put(out, rng_u64(r));
    be64_put(out + 8, rng_u64(r));
}

uint64_t rng_below(struct rng *r, uint64_t bound) {
    if (bound == 0)
        return 0;
    // Draws below 2^64 mod bound, which is less than bound, would make small numbers likelier.
    uint64_t v = 0;
    do
        v = rng_u64(r);
    while (v < bound && v < -bound % bound);
    return v % bound;
}

uint64_t rng_epoch(struct rng *r) {
    return rng_below(r, (UINT64_C(1) << 53) - 1) + 1;
}
