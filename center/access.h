// Who asks: an admin key, or an API key of a product. A key is hashed once, whatever it is compared
// to; the hashes of some that were good are kept, since the same key comes with each request.
#ifndef HW_ACCESS_H
#define HW_ACCESS_H

#include "center_internal.h"

struct shown_key {
    const char *fresh; // borrowed from the header: hashed now; NULL: its hash was kept
    const char *kid;   // of an API key, borrowed from the header; else NULL
    size_t kid_len;
    uint8_t hash[32];
};

void access_init(struct center *c);
void access_deinit(struct center *c);
// The key of an Authorization header. False: there is none; an empty or too long one fits nothing.
bool access_read(const struct center *c, const char *authorization, struct shown_key *ret_key);
void access_proven(const struct center *c, const struct shown_key *key); // one that was good
bool access_is_admin(const struct center *c, const struct shown_key *key);
bool access_is_of(const struct product *p, const struct shown_key *key);
bool access_is_of_any(const struct center *c, const struct shown_key *key);

#endif
