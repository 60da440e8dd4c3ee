// Who asks: an admin key, or an API key of a product. A key is hashed once, whatever it is compared
// to.
#ifndef HW_ACCESS_H
#define HW_ACCESS_H

#include "center_internal.h"

struct shown_key {
    const char *kid; // of an API key, borrowed from the header; else NULL
    size_t kid_len;
    uint8_t hash[32];
};

// The key of an Authorization header. False: there is none; an empty or too long one fits nothing.
bool access_read(const char *authorization, struct shown_key *ret_key);
bool access_is_admin(const struct center *c, const struct shown_key *key);
bool access_is_of(const struct product *p, const struct shown_key *key);
bool access_is_of_any(const struct center *c, const struct shown_key *key);

#endif
