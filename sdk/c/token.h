// Reads what a token says about itself, without checking its signature (the room does that): the
// client needs product and user to find its stored positions before the first login.
#ifndef HAWSER_TOKEN_H
#define HAWSER_TOKEN_H

#include <stdbool.h>

struct token_claims {
    char *product; // owned; NULL when it could not be read
    char *user;    // owned; NULL when it could not be read
};

// A JWT's aud (a string, or an array of one) and sub. Anything else gives NULLs: the token is
// opaque then, and the room's answer tells both. Free with token_claims_free.
void token_claims_read(const char *token, struct token_claims *ret_claims);
void token_claims_free(struct token_claims *c); // leaves it empty

#endif
