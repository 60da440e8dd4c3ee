// Client tokens, for app servers that do not make their own.
#include <jwt.h>

#include "fields.h"
#include "handlers.h"
#include "request.h"
#include "texts.h"

static const struct product_key *newest_token_key(const struct product *product) {
    const struct product_key *best = NULL;
    for (size_t i = 0; i < product->key_count; i++)
        if (product->keys[i].kind == HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN &&
            (!best || product->keys[i].created_ms >= best->created_ms))
            best = &product->keys[i];
    return best;
}

struct claims {
    const char *user, *device;
    const json_t *tags;
    uint64_t ttl_s;
};

static bool take_claims(const json_t *body, const struct product *product, struct claims *claims,
                        struct problem *p) {
    static const char *const names[] = {"user", "device", "tags", "ttl_s", NULL};
    const struct fields in = {body, "", p};
    claims->ttl_s = product->limits.token_ttl_s;
    claims->tags = json_object_get(body, "tags");
    return fields_known(&in, names) && field_text_needed(&in, "user", ID_MAX, &claims->user) &&
           field_text(&in, "device", ID_MAX, &claims->device) &&
           field_number(&in, "ttl_s", (struct range){1, claims->ttl_s}, &claims->ttl_s) &&
           (!claims->tags || check_tags(claims->tags, "tags", 32, p));
}

static char *token_make(const struct product *product, const struct product_key *key,
                        const struct claims *claims, uint64_t expires_s) {
    jwt_t *jwt = NULL;
    char *text = NULL;
    json_t *grants = json_pack("{s:s, s:s, s:I}", "aud", product->name, "sub", claims->user, "exp",
                               (json_int_t)expires_s);
    if (claims->tags)
        json_object_set(grants, "tags", (json_t *)(uintptr_t)claims->tags);
    if (claims->device)
        json_object_set_new(grants, "dev", json_string(claims->device));
    char *json = json_dumps(grants, JSON_COMPACT);
    if (jwt_new(&jwt) == 0 && jwt_add_grants_json(jwt, json) == 0 &&
        jwt_add_header(jwt, "kid", key->kid) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_HS256, key->secret, (int)key->secret_len) == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    json_decref(grants);
    free(json);
    return text;
}

void handle_token(struct request *q) {
    const struct product *product = request_product(q);
    const struct product_key *key = newest_token_key(product);
    struct claims claims = {0};
    struct problem p = {0};
    const json_t *body = q->reader.root;
    if (!take_claims(body, product, &claims, &p)) {
        reply_problem(q, &p);
        return;
    }
    if (!key) {
        reply_fault(q, PROBLEM_state_conflict, NULL, "the product has no token key");
        return;
    }
    uint64_t expires_s = loop_wall_ms(q->center->loop) / 1000 + claims.ttl_s;
    char *token = token_make(product, key, &claims, expires_s);
    if (!token) {
        reply_fault(q, PROBLEM_overloaded, NULL, "the token could not be made");
        return;
    }
    reply_json(q, 200,
               json_pack("{s:s, s:o}", "token", token, "expires_at", time_json(expires_s * 1000)));
    free(token);
}
