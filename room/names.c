// What a binding is called: by its user and tags, and by the register's row and whoever tells or
// asks it something later.
#include <assert.h>

#include "room_internal.h"

const char *room_binding_user(const struct room_binding *b) {
    return b->is_awake ? b->of.awake->names : b->of.names;
}

const char *room_binding_tags(const struct room_binding *b) {
    const char *user = room_binding_user(b);
    return user + strlen(user) + 1;
}

static size_t tags_bytes(const char *tags) { // with the NUL behind them
    const char *t = tags;
    while (*t)
        t += strlen(t) + 1;
    return (size_t)(t - tags) + 1;
}

bool room_binding_has_tags(const struct room_binding *b, const char *tags) {
    const char *own = room_binding_tags(b), *others = tags ? tags : "";
    size_t bytes = tags_bytes(own);
    return bytes == tags_bytes(others) && memcmp(own, others, bytes) == 0;
}

enum { SLEEPER_BYTES = 32 };

// With place for what most know while they sleep: a block that grows then would leave holes among
// what lives as long. The old names may be among the new ones.
void room_binding_name(struct room_binding *b, const char *user, const char *tags) {
    const char *new_tags = tags ? tags : "";
    size_t user_bytes = strlen(user) + 1, more = tags_bytes(new_tags);
    char *names = hw_malloc(user_bytes + more + SLEEPER_BYTES);
    memcpy(names, user, user_bytes);
    memcpy(names + user_bytes, new_tags, more);
    assert(b->is_awake); // what it knows behind them while it sleeps would be lost
    free(b->of.awake->names);
    b->of.awake->names = names;
    b->names_bytes = (uint16_t)(user_bytes + more);
}

// --- as others name it. A slot is used again, and many sessions have the same generation: only
// both numbers of the slab name a binding.

uint64_t room_binding_row_slot(const struct room_binding *b) {
    return (uint64_t)slab_turn(b) << 32 | slab_slot(b);
}

struct room_binding *room_binding_of_row_slot(struct room *r, uint64_t row_slot) {
    return room_binding_find(r, (uint32_t)row_slot, (uint32_t)(row_slot >> 32));
}

struct room_binding *room_binding_find(struct room *r, uint32_t slot, uint32_t turn) {
    struct room_binding *b = slab_find(&r->bindings, slot, turn);
    return b && room_binding_state(b) != SESSION_GONE ? b : NULL;
}

uint32_t room_binding_devices_max(const struct room_binding *b) {
    const struct product *p =
        cluster_product_by_number(binding_room(b)->cluster, b->product->number);
    return p ? (uint32_t)p->limits.devices_per_user : 16;
}
