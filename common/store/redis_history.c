#include "redis_history.h"

#include <string.h>

#include "crypto.h"
#include "redis_info.h"

void redis_history_said(struct redis_history *h, const redisReply *reply) {
    bool is_one = reply && reply->type == REDIS_REPLY_STRING && reply->len == sizeof(h->said);
    h->said_len = is_one ? sizeof(h->said) : 0;
    if (is_one)
        memcpy(h->said, reply->str, sizeof(h->said));
}

enum { NAMED_BYTES = REDIS_HISTORY_BYTES - REDIS_HISTORY_DRAWN };

static void history_of(const char *info, uint8_t out[NAMED_BYTES]) {
    char names[2 * (RUN_ID_MAX + 1)] = "";
    uint8_t digest[32];
    (void)redis_info_value(info, "run_id", names, RUN_ID_MAX + 1);
    (void)redis_info_value(info, "master_replid", names + strlen(names), RUN_ID_MAX + 1);
    crypto_sha256(names, strlen(names), digest);
    memcpy(out, digest, NAMED_BYTES);
}

void redis_history_is(struct redis_history *h, const char *info, uint64_t random) {
    history_of(info, h->is);
    if (h->said_len > 0 && memcmp(h->said, h->is, NAMED_BYTES) == 0)
        memcpy(h->is, h->said, sizeof(h->is));
    else
        memcpy(h->is + NAMED_BYTES, &random, REDIS_HISTORY_DRAWN);
}

bool redis_history_is_still(const struct redis_history *h, const char *info) {
    uint8_t is[NAMED_BYTES];
    history_of(info, is);
    return memcmp(h->is, is, sizeof(is)) == 0;
}

bool redis_history_has_key(const struct redis_history *h) {
    return h->said_len == sizeof(h->is) && memcmp(h->said, h->is, sizeof(h->is)) == 0;
}

// A full server takes this, as scripts/part/memory.lua has it of no_growth(). Who claimed the same
// history a moment ago drew another number: it stays.
static const char claim[] = "local said = redis.call('GET', KEYS[1]) or '' "
                            "local named = tonumber(ARGV[3]) "
                            "if #said == #ARGV[2] and said:sub(1, named) == ARGV[2]:sub(1, named)"
                            " then return said end "
                            "if said ~= ARGV[1] then"
                            " return redis.error_reply('HISTORY the data is of another one') end "
                            "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], ARGV[2]) "
                            "return ARGV[2]";

void redis_history_claim(const struct redis_history *h, struct redis_args *out) {
    out->count = 0;
    redis_arg_text(out, "EVAL");
    redis_arg_text(out, claim);
    redis_arg_text(out, "1");
    redis_arg_text(out, REDIS_HISTORY_KEY);
    redis_arg_bytes(out, h->said, h->said_len);
    redis_arg_bytes(out, h->is, sizeof(h->is));
    redis_arg_u64(out, NAMED_BYTES);
}

bool redis_history_claimed(struct redis_history *h, const redisReply *reply) {
    bool is_one = reply->len == sizeof(h->is) && memcmp(reply->str, h->is, NAMED_BYTES) == 0;
    if (is_one)
        memcpy(h->is, reply->str, sizeof(h->is));
    return is_one;
}
