#include "token.h"
#include "close_codes.h"

#include <jansson.h>
#include <jwt.h>

#include "buf.h"
#include "bytes.h"

static bool text_fits(const char *text, size_t max) {
    return text && *text && strlen(text) <= max;
}

// What libjwt decoded, as JSON: its own getters do not tell a claim of another type from none.
static json_t *parsed(char *json) {
    json_t *value = json ? json_loads(json, 0, NULL) : NULL;
    free(json);
    return value;
}

// aud: a string, or an array of one.
static bool token_take_product(const json_t *claims, char out[33]) {
    const json_t *aud = json_object_get(claims, "aud");
    const json_t *one =
        json_is_array(aud) && json_array_size(aud) == 1 ? json_array_get(aud, 0) : aud;
    const char *name = json_string_value(one);
    bool good = name && product_name_is_valid(name, strlen(name));
    if (good)
        memcpy(out, name, strlen(name) + 1);
    return good;
}

bool token_peek(const char *token, struct token_glance *ret_glance, const char **ret_reason) {
    jwt_t *jwt = NULL;
    bool good = false;
    if (jwt_decode(&jwt, token, NULL, 0) != 0) {
        *ret_reason = "the token is not a JWT";
        return false;
    }
    json_t *claims = parsed(jwt_get_grants_json(jwt, NULL));
    const char *kid = jwt_get_header(jwt, "kid");
    if (!text_fits(kid, sizeof(ret_glance->kid) - 1)) {
        *ret_reason = "the token's header has no kid";
    } else if (!token_take_product(claims, ret_glance->product)) {
        *ret_reason = "the token's aud is not one product";
    } else {
        memcpy(ret_glance->kid, kid, strlen(kid) + 1);
        good = true;
    }
    json_decref(claims);
    jwt_free(jwt);
    return good;
}

static bool token_take_tags(const json_t *tags, struct token_claims *claims) {
    size_t i, bytes = 0;
    json_t *tag;
    claims->tags_given = tags != NULL;
    if (!tags)
        return true;
    if (!json_is_array(tags) || json_array_size(tags) > TAGS_MAX)
        return false;
    json_array_foreach(tags, i, tag) {
        const char *text = json_string_value(tag);
        if (!text || !id_is_valid(text, strlen(text), TAG_MAX) ||
            (bytes += strlen(text)) > TAGS_BYTES_MAX)
            return false;
        claims->tags[claims->tag_count++] = hw_strdup(text);
    }
    return true;
}

static bool is_number_or_none(const json_t *claims, const char *name) {
    const json_t *value = json_object_get(claims, name);
    return !value || json_is_number(value);
}

static uint32_t check_time(const json_t *json, const struct token_terms *terms,
                           struct token_claims *claims, const char **ret_reason) {
    double exp = json_number_value(json_object_get(json, "exp"));
    double nbf = json_number_value(json_object_get(json, "nbf"));
    double now = (double)terms->now_ms, leeway = TOKEN_LEEWAY_MS;
    if (exp * 1000 + leeway <= now) {
        *ret_reason = "the token is expired";
        return CLOSE_TOKEN_EXPIRED;
    }
    if (exp * 1000 > now + (double)terms->ttl_ms + leeway) {
        *ret_reason = "the token's exp lies further ahead than the product allows";
        return CLOSE_TOKEN_REFUSED;
    }
    if (nbf * 1000 > now + leeway) {
        *ret_reason = "the token is not valid yet";
        return CLOSE_TOKEN_REFUSED;
    }
    claims->expires_ms = (uint64_t)(exp * 1000);
    return 0;
}

// Whether each claim that counts is of its type: one that is not is refused, never passed over, for
// it was put there to narrow the token.
static const char *check_claims(const json_t *json, const struct token_terms *terms,
                                struct token_claims *claims) {
    char product[33];
    const char *user = json_string_value(json_object_get(json, "sub"));
    const json_t *dev = json_object_get(json, "dev"), *exp = json_object_get(json, "exp");
    if (!token_take_product(json, product) || strcmp(product, terms->product) != 0)
        return "the token's aud is another product";
    if (!user || !id_is_valid(user, strlen(user), TOKEN_USER_MAX))
        return "the token's sub is not a user";
    if (!json_is_number(exp) || json_number_value(exp) < 0)
        return "the token has no exp";
    if (!is_number_or_none(json, "nbf") || !is_number_or_none(json, "iat"))
        return "the token's nbf or iat is not a number";
    if (dev && !json_is_string(dev))
        return "the token's dev is not a device";
    if (dev && strcmp(json_string_value(dev), terms->device) != 0)
        return "the token is for another device";
    if (!token_take_tags(json_object_get(json, "tags"), claims))
        return "the token's tags are not a list of tags";
    memcpy(claims->user, user, strlen(user) + 1);
    return NULL;
}

// crit names what the receiver must understand, and there is nothing of the kind that a room does.
static const char *check_header(jwt_t *jwt) {
    char *crit = jwt_get_headers_json(jwt, "crit");
    bool has_crit = crit != NULL;
    free(crit);
    if (jwt_get_alg(jwt) != JWT_ALG_HS256)
        return "the token's algorithm is not HS256";
    return has_crit ? "the token's header has crit" : NULL;
}

uint32_t token_check(const char *token, const struct token_terms *terms,
                     struct token_claims *ret_claims, const char **ret_reason) {
    struct token_claims claims = {0};
    jwt_t *jwt = NULL;
    // The secret of another algorithm may be known to all: a public key proves nothing here.
    if (strcmp(terms->algorithm, "HS256") != 0) {
        *ret_reason = "the key's algorithm is not HS256";
        return CLOSE_TOKEN_REFUSED;
    }
    if (jwt_decode(&jwt, token, terms->secret, (int)terms->secret_len) != 0) {
        *ret_reason = "the token's signature is wrong";
        return CLOSE_TOKEN_REFUSED;
    }
    json_t *json = parsed(jwt_get_grants_json(jwt, NULL));
    *ret_reason = check_header(jwt);
    if (!*ret_reason)
        *ret_reason = check_claims(json, terms, &claims);
    uint32_t code =
        *ret_reason ? CLOSE_TOKEN_REFUSED : check_time(json, terms, &claims, ret_reason);
    json_decref(json);
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
