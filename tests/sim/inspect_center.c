// The part of inspect.c that looks into centers: their internals and a room's do not go together.
#include "center_internal.h"
#include "run.h"

const char *center_waits(const void *center) {
    const struct center *c = center;
    return !LIST_EMPTY(&c->requests) ? "requests" : !LIST_EMPTY(&c->legs) ? "legs of pushes" : NULL;
}
