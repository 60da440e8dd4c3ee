// The part of inspect.c that looks into a daemon's lease: its internals and a room's do not go
// together.
#include "cluster_internal.h"
#include "run.h"

uint64_t lease_end_us(const struct cluster *c) {
    return cluster_lease_is_held(c) ? c->lease_end_ms * 1000 : 0;
}
