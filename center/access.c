#include "access.h"

#include <strings.h>

enum { KEY_BYTES_MAX = 512, KNOWN_HASHES = 64, KNOWN_BYTES_MAX = 128 };

// --- hashes of keys that were good, and of admin keys: of a key alone, not whether it is still
// good, which is asked of each request

struct key_hashes {
    uint8_t hash_key[16];
    struct key_hash {
        size_t len;
        char key[KNOWN_BYTES_MAX];
        uint8_t hash[32];
    } known[KNOWN_HASHES];
};

void access_init(struct center *c) {
    c->key_hashes = hw_calloc(1, sizeof(*c->key_hashes));
    rng_16_bytes(loop_rng(c->loop), c->key_hashes->hash_key);
}

void access_deinit(struct center *c) {
    free(c->key_hashes);
    c->key_hashes = NULL;
}

static struct key_hash *place_of(const struct center *c, const char *key, size_t len) {
    struct key_hashes *all = c->key_hashes;
    return &all->known[siphash(all->hash_key, key, len) % KNOWN_HASHES];
}

// In a time that says nothing of how a key that is known begins. Whether it was known.
static bool hash_of(const struct center *c, const char *key, size_t len, uint8_t out[32]) {
    const struct key_hash *known = place_of(c, key, len);
    bool is_known = known->len == len && crypto_equal(known->key, key, len);
    if (is_known)
        memcpy(out, known->hash, sizeof(known->hash));
    else
        crypto_sha256(key, len, out);
    return is_known;
}

static void keep_hash(const struct center *c, const char *key, const uint8_t hash[32]) {
    size_t len = strlen(key);
    struct key_hash *known = place_of(c, key, len);
    if (len > sizeof(known->key))
        return;
    known->len = len;
    memcpy(known->key, key, len);
    memcpy(known->hash, hash, sizeof(known->hash));
}

// --- who asks

// What is too long for any is not even hashed: it stays all zeros, and has no kid.
bool access_read(const struct center *c, const char *authorization, struct shown_key *ret_key) {
    const char *key = authorization + strlen("Bearer ");
    *ret_key = (struct shown_key){0};
    if (strncasecmp(authorization, "Bearer ", strlen("Bearer ")) != 0 || *key == '\0')
        return false;
    size_t len = strlen(key);
    if (len > KEY_BYTES_MAX)
        return true;
    bool is_api_key = strncmp(key, "hwk_", 4) == 0;
    ret_key->kid = is_api_key ? key + 4 : NULL;
    ret_key->kid_len = is_api_key ? strcspn(key + 4, "_") : 0;
    ret_key->fresh = hash_of(c, key, len, ret_key->hash) ? NULL : key;
    return true;
}

void access_proven(const struct center *c, const struct shown_key *key) {
    if (key->fresh)
        keep_hash(c, key->fresh, key->hash);
}

bool access_is_admin(const struct center *c, const struct shown_key *key) {
    int count;
    bool found = false;
    uint8_t known[32];
    char *const *keys = config_list(c->env->config, "cluster.admin_keys", &count);
    for (int i = 0; i < count; i++) { // hashed first, so that the time tells nothing
        if (!hash_of(c, keys[i], strlen(keys[i]), known))
            keep_hash(c, keys[i], known);
        found = crypto_equal(key->hash, known, sizeof(known)) || found;
    }
    return found;
}

bool access_is_of(const struct product *p, const struct shown_key *key) {
    const struct product_key *known =
        key->kid ? product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_API, key->kid, key->kid_len)
                 : NULL;
    return known && known->secret_len == sizeof(key->hash) &&
           crypto_equal(key->hash, known->secret, sizeof(key->hash));
}

bool access_is_of_any(const struct center *c, const struct shown_key *key) {
    const struct product *p =
        key->kid ? cluster_product_by_api_kid(c->cluster, key->kid, key->kid_len) : NULL;
    return p && access_is_of(p, key);
}
