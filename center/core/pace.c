#include "pace.h"

#include "buf.h"

static struct pace *pace_get(struct pace **all, const struct pace_ask *ask, uint64_t now_ms) {
    struct pace *p = NULL;
    HASH_FIND(hh, *all, &ask->product, sizeof(ask->product), p);
    if (p)
        return p;
    p = hw_calloc(1, sizeof(*p));
    p->product = ask->product;
    p->milli_pushes = ask->per_s * 1000;
    p->filled_ms = now_ms;
    HASH_ADD(hh, *all, product, sizeof(p->product), p);
    return p;
}

bool pace_take(struct pace **all, const struct pace_ask *ask, uint64_t now_ms) {
    uint64_t full = ask->per_s * 1000, cost = ask->pushes * 1000;
    if (ask->per_s == 0)
        return true;
    struct pace *p = pace_get(all, ask, now_ms);
    p->milli_pushes += (now_ms - p->filled_ms) * ask->per_s;
    p->milli_pushes = p->milli_pushes < full ? p->milli_pushes : full;
    p->filled_ms = now_ms;
    if (p->milli_pushes < cost && (cost <= full || p->milli_pushes < full))
        return false;
    p->milli_pushes -= cost < p->milli_pushes ? cost : p->milli_pushes;
    return true;
}

void paces_free(struct pace **all) {
    struct pace *p, *next;
    HASH_ITER(hh, *all, p, next) {
        HASH_DEL(*all, p);
        free(p);
    }
}
