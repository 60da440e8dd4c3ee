// Random numbers for jitter, ids and choices (xoshiro256**, Blackman and Vigna), seeded by the
// operating system or, in the simulation, by its seed. Not for secrets: those come from
// crypto_random.
#ifndef HW_RNG_H
#define HW_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed); // expands the seed by splitmix64
uint64_t rng_u64(struct rng *r);
void rng_16_bytes(struct rng *r, uint8_t out[16]);
uint64_t rng_below(struct rng *r, uint64_t bound); // 0..bound-1 without bias; bound 0 gives 0
uint64_t rng_epoch(struct rng *r);                 // 1..2^53-1: an epoch or an incarnation

#endif
