#include "store_pair.h"

void store_pair_begin(struct store_step *p, const ProtobufCMessage *request) {
    store_step_pass(p, store_pair_of(p)->front, request);
}

struct store *store_pair_down_part(struct store *s) {
    return ((struct store_pair *)s)->front;
}

void store_pair_stop(struct store *s) {
    struct store_pair *p = (struct store_pair *)s;
    store_free(p->front);
    store_free(p->back);
}

void store_pair_init(struct store_pair *p, const struct store_kind *kind, struct store *front,
                     struct store *back) {
    store_init(&p->store, kind, front->loop);
    p->store.is_in_memory = store_is_in_memory(front) || store_is_in_memory(back);
    p->front = front;
    p->back = back;
}
