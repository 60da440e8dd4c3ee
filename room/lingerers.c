// Who lingers and is found by its token: by product, user and device. Only a voice without resume
// bytes has such clients; each of their connections has one binding.
#include "table.h"

#include "crypto.h"
#include "room_internal.h"

struct lingerer {
    UT_hash_handle hh; // in room.lingerers
    struct conn *conn; // whose transit has it, and ends it first
    size_t key_len;
    uint8_t key[]; // the product's number, the user and a NUL, the device
};

struct lingerer_key {
    uint8_t bytes[4 + TOKEN_USER_MAX + 1 + DEVICE_MAX];
    size_t len;
    unsigned hash;
};

static struct lingerer_key lingerer_key(const struct room *r, const struct lingerer_name *name) {
    struct lingerer_key k;
    size_t user_len = strlen(name->user) + 1, device_len = strlen(name->device);
    be32_put(k.bytes, name->product);
    memcpy(k.bytes + 4, name->user, user_len);
    memcpy(k.bytes + 4 + user_len, name->device, device_len);
    k.len = 4 + user_len + device_len;
    k.hash = (unsigned)siphash(r->lingerers_key, k.bytes, k.len);
    return k;
}

static struct lingerer *lingerer_find(struct room *r, const struct lingerer_key *k) {
    struct lingerer *l = NULL;
    HASH_FIND_BYHASHVALUE(hh, r->lingerers, k->bytes, k->len, k->hash, l);
    return l;
}

void lingerers_add(struct conn *c) {
    struct room *r = conn_room(c);
    const struct room_binding *b = c->bindings;
    struct lingerer_key k = lingerer_key(
        r, &(struct lingerer_name){b->product->number, room_binding_user(b), c->device});
    struct lingerer *l = lingerer_find(r, &k);
    if (l) // an older one, which is about to end
        lingerers_remove(l->conn);
    l = hw_malloc(sizeof(*l) + k.len);
    l->conn = c;
    l->key_len = k.len;
    memcpy(l->key, k.bytes, k.len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, r->lingerers, l->key, l->key_len, k.hash, l);
    c->transit->lingerer = l; // as any that lingers has one
}

void lingerers_remove(struct conn *c) {
    struct room *r = conn_room(c);
    struct lingerer *l = c->transit->lingerer;
    if (!l)
        return;
    HASH_DELETE(hh, r->lingerers, l);
    c->transit->lingerer = NULL;
    free(l);
}

struct room_binding *lingerers_find(struct room *r, const struct lingerer_name *name) {
    struct lingerer_key k = lingerer_key(r, name);
    const struct lingerer *l = lingerer_find(r, &k);
    return l && l->conn->bindings && room_binding_is_entered(l->conn->bindings) ? l->conn->bindings
                                                                                : NULL;
}
