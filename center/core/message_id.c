#include "message_id.h"

#include <string.h>

#include "bytes.h"
#include "crypto.h"
#include "texts.h"

enum { PLACE_BYTES = 4, BUCKET_BITS = 10, MARK_BITS = 14 };

struct message_home message_home_of_user(const char *user) {
    size_t len = strlen(user);
    return (struct message_home){MESSAGE_TO_USER, bucket_of_user(user, len),
                                 mark_of_user(user, len)};
}

void message_id_make(const struct message_home *place, const uint8_t own[MESSAGE_ID_OWN_BYTES],
                     char out[MESSAGE_ID_CHARS + 1]) {
    uint8_t bits[PLACE_BYTES + MESSAGE_ID_OWN_BYTES];
    uint32_t at = (uint32_t)place->kind << (BUCKET_BITS + MARK_BITS) | place->bucket << MARK_BITS |
                  place->mark;
    be32_put(bits, at);
    memcpy(bits + PLACE_BYTES, own, MESSAGE_ID_OWN_BYTES);
    base62(bits, sizeof(bits), out, MESSAGE_ID_CHARS);
}

bool message_id_read(const char *id, struct message_home *ret_home) {
    uint8_t bits[PLACE_BYTES + MESSAGE_ID_OWN_BYTES];
    if (strlen(id) != MESSAGE_ID_CHARS || !base62_read(id, bits, sizeof(bits)))
        return false;
    uint32_t at = be32_get(bits), kind = at >> (BUCKET_BITS + MARK_BITS);
    if (kind > MESSAGE_TO_ALL)
        return false;
    *ret_home = (struct message_home){(enum message_kind)kind, at >> MARK_BITS & (USER_BUCKETS - 1),
                                      at & USER_MARK_MAX};
    return kind == MESSAGE_TO_USER || (ret_home->bucket == 0 && ret_home->mark == 0);
}
