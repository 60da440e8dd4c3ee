// A store over two others (docs/STORE.md). The front has every method; a kind's own rows are those
// that need both, and a row says in which order they are asked. All others are the front's.
//
// Such a row's step calls front and back with store_call, each at most once at a time, and
// completes when both have answered. On an error it asks nobody any more: the store may be ending.
#ifndef HW_STORE_PAIR_H
#define HW_STORE_PAIR_H

#include "store_step.h"

struct store_pair {             // a kind's own begins with it
    struct store store;         // first
    struct store *front, *back; // owned
};
static inline struct store_pair *store_pair_of(const struct store_step *p) {
    return (struct store_pair *)p->store;
}
// What is not the pair's own goes to the front.
void store_pair_begin(struct store_step *p, const ProtobufCMessage *request);
// Down is what the front is down for: most of what is asked needs no back, and goes on without.
struct store *store_pair_down_part(struct store *s);
void store_pair_stop(struct store *s);
// The part of struct store_kind that is the same in all pairs.
#define STORE_PAIR_FUNCTIONS                                                                       \
    .other = store_pair_begin, .down_part = store_pair_down_part, .stop = store_pair_stop

void store_pair_init(struct store_pair *p, const struct store_kind *kind, struct store *front,
                     struct store *back);

#endif
