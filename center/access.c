#include "access.h"

#include <strings.h>

enum { KEY_BYTES_MAX = 512 };

// What is too long for any is not even hashed: it stays all zeros, and has no kid.
bool access_read(const char *authorization, struct shown_key *ret_key) {
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
    crypto_sha256(key, len, ret_key->hash);
    return true;
}

bool access_is_admin(const struct center *c, const struct shown_key *key) {
    int count;
    bool found = false;
    uint8_t known[32];
    char *const *keys = config_list(c->env->config, "cluster.admin_keys", &count);
    for (int i = 0; i < count; i++) { // hashed first, so that the time tells nothing
        crypto_sha256(keys[i], strlen(keys[i]), known);
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
