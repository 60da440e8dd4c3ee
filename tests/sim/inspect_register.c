// The part of inspect.c that looks into registers: their internals and a room's do not go together.
#include "register_internal.h"
#include "run.h"

bool register_holds(const void *registry, const char *key) {
    return held_entry(registry, key) != NULL;
}
