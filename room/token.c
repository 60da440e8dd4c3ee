#include "token.h"

#include <jansson.h>
#include <jwt.h>

#include "buf.h"
#include "bytes.h"

static bool text_fits(const char *text, size_t max) {
    return text && *text && strlen(text) <= max;
}

// aud: a string, or an array of one.
static bool take_product(jwt_t *jwt, char out[33]) {
    char *json = jwt_get_grants_json(jwt, "aud");
    json_t *aud = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    const json_t *one =
        json_is_array(aud) && json_array_size(aud) == 1 ? json_array_get(aud, 0) : aud;
    const char *name = json_string_value(one);
    bool good = name && product_name_is_valid(name, strlen(name));
    if (good)
        memcpy(out, name, strlen(name) + 1);
    json_decref(aud);
    free(json);
    return good;
}

bool token_peek(const char *token, struct token_hint *ret_hint, const char **ret_reason) {
    jwt_t *jwt = NULL;
    bool good = false;
    if (jwt_decode(&jwt, token, NULL, 0) != 0) {
        *ret_reason = "the token is not a JWT";
        return false;
    }
    const char *kid = jwt_get_header(jwt, "kid");
    if (!text_fits(kid, sizeof(ret_hint->kid) - 1)) {
        *ret_reason = "the token's header has no kid";
    } else if (!take_product(jwt, ret_hint->product)) {
        *ret_reason = "the token's aud is not one product";
    } else {
        memcpy(ret_hint->kid, kid, strlen(kid) + 1);
        good = true;
    }
    jwt_free(jwt);
    return good;
}

static bool take_tags(jwt_t *jwt, struct token_claims *claims) {
    char *json = jwt_get_grants_json(jwt, "tags");
    json_t *tags = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    bool good = !json || (json_is_array(tags) && json_array_size(tags) <= TAGS_MAX);
    size_t i, bytes = 0;
    json_t *tag;
    free(json);
    claims->tags_given = tags != NULL;
    if (good && tags)
        json_array_foreach(tags, i, tag) {
            const char *text = json_string_value(tag);
            good = good && text && id_is_valid(text, strlen(text), TAG_MAX) &&
                   (bytes += strlen(text)) <= TAGS_BYTES_MAX;
            if (!good)
                break;
            claims->tags[claims->tag_count++] = hw_strdup(text);
        }
    json_decref(tags);
    return good;
}

static bool number_claim(jwt_t *jwt, const char *name, double *ret_value) {
    char *json = jwt_get_grants_json(jwt, name);
    json_t *value = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    bool is_number = json_is_number(value);
    if (is_number)
        *ret_value = json_number_value(value);
    json_decref(value);
    free(json);
    return is_number;
}

static uint32_t check_time(jwt_t *jwt, const struct token_key *key, uint64_t now_ms,
                           struct token_claims *claims, const char **ret_reason) {
    double exp, nbf, now = (double)now_ms, leeway = TOKEN_LEEWAY_MS;
    if (!number_claim(jwt, "exp", &exp) || exp < 0) {
        *ret_reason = "the token has no exp";
        return 4002;
    }
    if (exp * 1000 + leeway <= now) {
        *ret_reason = "the token is expired";
        return 4005;
    }
    if (exp * 1000 > now + (double)key->ttl_ms + leeway) {
        *ret_reason = "the token's exp lies further ahead than the product allows";
        return 4002;
    }
    if (number_claim(jwt, "nbf", &nbf) && nbf * 1000 > now + leeway) {
        *ret_reason = "the token is not valid yet";
        return 4002;
    }
    claims->expires_ms = (uint64_t)(exp * 1000);
    return 0;
}

static const char *check_claims(jwt_t *jwt, const struct token_key *key, const char *device,
                                struct token_claims *claims) {
    char product[33];
    const char *user = jwt_get_grant(jwt, "sub"), *dev = jwt_get_grant(jwt, "dev");
    if (jwt_get_alg(jwt) != JWT_ALG_HS256)
        return "the token's algorithm is not HS256";
    if (!take_product(jwt, product) || strcmp(product, key->product) != 0)
        return "the token's aud is another product";
    if (!user || !id_is_valid(user, strlen(user), TOKEN_USER_MAX))
        return "the token's sub is not a user";
    if (dev && strcmp(dev, device) != 0)
        return "the token is for another device";
    if (!take_tags(jwt, claims))
        return "the token's tags are not a list of tags";
    memcpy(claims->user, user, strlen(user) + 1);
    return NULL;
}

uint32_t token_check(const char *token, const struct token_key *key, const char *device,
                     uint64_t now_ms, struct token_claims *ret_claims, const char **ret_reason) {
    struct token_claims claims = {0};
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, token, key->secret, (int)key->secret_len) != 0) {
        *ret_reason = "the token's signature is wrong";
        return 4002;
    }
    uint32_t code = 0;
    *ret_reason = check_claims(jwt, key, device, &claims);
    code = *ret_reason ? 4002 : check_time(jwt, key, now_ms, &claims, ret_reason);
    jwt_free(jwt);
    if (code != 0)
        token_claims_deinit(&claims);
    else
        *ret_claims = claims;
    return code;
}

void token_claims_deinit(struct token_claims *c) {
    for (int i = 0; i < c->tag_count; i++)
        free(c->tags[i]);
    c->tag_count = 0;
}
