#include "known_rows.h"

#include <string.h>

#include "buf.h"

enum { KNOWN_KEY_BYTES = 4 + 256 };

void known_rows_init(struct known_rows *k, const uint8_t hash_key[16]) {
    *k = (struct known_rows){0};
    memcpy(k->hash_key, hash_key, sizeof(k->hash_key));
    TAILQ_INIT(&k->ages);
}

static void known_user_free(struct known_rows *k, struct known_user *u) {
    k->bytes -= u->bytes;
    HASH_DEL(k->users, u);
    TAILQ_REMOVE(&k->ages, u, by_age);
    free(u);
}

void known_rows_deinit(struct known_rows *k) {
    while (!TAILQ_EMPTY(&k->ages))
        known_user_free(k, TAILQ_FIRST(&k->ages));
}

// --- a user's

struct user_key {
    char bytes[KNOWN_KEY_BYTES];
    size_t len;
    unsigned hash;
};

static struct user_key key_of(const struct known_rows *k, uint32_t product, const char *user) {
    struct user_key key;
    size_t len = strnlen(user, KNOWN_KEY_BYTES - sizeof(product));
    memcpy(key.bytes, &product, sizeof(product));
    memcpy(key.bytes + sizeof(product), user, len);
    key.len = sizeof(product) + len;
    key.hash = (unsigned)siphash(k->hash_key, key.bytes, key.len);
    return key;
}

static struct known_user *known_user_of(const struct known_rows *k, const struct user_key *key) {
    struct known_user *u = NULL;
    HASH_FIND_BYHASHVALUE(hh, k->users, key->bytes, key->len, key->hash, u);
    return u;
}

void known_rows_forget(struct known_rows *k, uint32_t product, const char *user) {
    struct user_key key = key_of(k, product, user);
    struct known_user *u = known_user_of(k, &key);
    if (u)
        known_user_free(k, u);
}

static bool is_complete(const struct known_user *u, const struct rows_of *q) {
    return u->arrivals.epoch == q->arrivals.epoch && u->arrivals.store == q->arrivals.store &&
           u->arrivals.count == q->arrivals.count && q->now_ms < u->since_ms + KNOWN_ROWS_MS;
}

const struct known_user *known_rows_find(struct known_rows *k, const struct rows_of *q) {
    struct user_key key = key_of(k, q->product, q->user);
    struct known_user *u = q->arrivals.count ? known_user_of(k, &key) : NULL;
    if (u && !is_complete(u, q)) {
        known_user_free(k, u);
        return NULL;
    }
    return u;
}

// --- keeping

// How many sessions it shows; 0: it is not to be kept. *ret_text: bytes of their devices' names.
static size_t sessions_of(const Hawser__Internal__FindReply *reply, size_t *ret_text) {
    size_t count = 0;
    *ret_text = 0;
    for (size_t i = 0; i < reply->n_row; i++) {
        const Hawser__Internal__SessionRow *row = reply->row[i];
        if (!row->online && !row->ended)
            return 0;
        if (!row->online)
            continue;
        count++;
        *ret_text += strlen(row->device) + 1;
    }
    return count <= KNOWN_ROWS_MAX ? count : 0;
}

static void take_rows(struct known_user *u, char *text, const Hawser__Internal__FindReply *reply) {
    for (size_t i = 0; i < reply->n_row; i++) {
        const Hawser__Internal__SessionRow *row = reply->row[i];
        size_t size = strlen(row->device) + 1;
        if (!row->online)
            continue;
        u->row[u->count++] = (struct known_row){row->incarnation, row->slot, row->generation, text};
        memcpy(text, row->device, size);
        text += size;
    }
}

static void make_place(struct known_rows *k, uint64_t now_ms) {
    struct known_user *u;
    while ((u = TAILQ_FIRST(&k->ages)) &&
           (k->bytes > KNOWN_ROWS_BYTES_MAX || now_ms >= u->since_ms + KNOWN_ROWS_MS)) {
        k->displaced += now_ms < u->since_ms + KNOWN_ROWS_MS ? 1 : 0;
        known_user_free(k, u);
    }
}

void known_rows_keep(struct known_rows *k, const struct rows_of *q,
                     const Hawser__Internal__FindReply *reply) {
    size_t text_bytes, count = sessions_of(reply, &text_bytes);
    struct user_key key = key_of(k, q->product, q->user);
    struct known_user *u = known_user_of(k, &key);
    if (u)
        known_user_free(k, u);
    if (count == 0 || q->arrivals.count == 0)
        return;
    size_t rows_bytes = count * sizeof(u->row[0]), bytes = sizeof(*u) + rows_bytes;
    bytes += key.len + text_bytes;
    u = hw_calloc(1, bytes);
    u->arrivals = q->arrivals;
    u->since_ms = q->now_ms;
    u->bytes = bytes;
    u->key_len = key.len;
    u->key = (char *)u + sizeof(*u) + rows_bytes;
    memcpy(u->key, key.bytes, key.len);
    take_rows(u, u->key + key.len, reply);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, k->users, u->key, u->key_len, key.hash, u);
    TAILQ_INSERT_TAIL(&k->ages, u, by_age);
    k->bytes += bytes;
    make_place(k, q->now_ms);
}
