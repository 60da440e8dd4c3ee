// Client tokens: JWT, HS256, checked without a look-up (docs/http.md, "Client token"). Pure:
// the key and the time are arguments.
#ifndef HW_TOKEN_H
#define HW_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKEN_USER_MAX = 64,
    TOKEN_LEEWAY_MS = 60000,
    TAGS_MAX = 32,
    TAG_MAX = 64,
    TAGS_BYTES_MAX = 1024
};

// What a token says of itself before its signature is checked: which key to check it with.
struct token_glance {
    char product[33], kid[33];
};
// false: not a token that can be right, whatever the key; *ret_reason is a literal.
bool token_peek(const char *token, struct token_glance *ret_glance, const char **ret_reason);

struct token_claims {
    char user[TOKEN_USER_MAX + 1];
    uint64_t expires_ms;  // Unix ms
    bool tags_given;      // the token narrows the tags
    char *tags[TAGS_MAX]; // owned; the allowed ones
    int tag_count;
};
// What a token is checked against. Borrowed.
struct token_terms {
    const char *algorithm; // of the key that it names, and so its secret
    const uint8_t *secret;
    size_t secret_len;
    const char *product;
    uint64_t ttl_ms;    // how far ahead exp may lie
    const char *device; // of the Hello
    uint64_t now_ms;    // Unix ms
};
// 0, or CLOSE_TOKEN_REFUSED or CLOSE_TOKEN_EXPIRED with a literal reason. On success free the
// claims with token_claims_deinit.
uint32_t token_check(const char *token, const struct token_terms *terms,
                     struct token_claims *ret_claims, const char **ret_reason);
void token_claims_deinit(struct token_claims *c);

#endif
