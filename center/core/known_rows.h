// Where users' sessions are, as registers said it. Whoever logs in writes its row at the register,
// and arrives in the inbox at the saver behind that; whoever writes its row anew arrives there,
// too. So rows that were found behind an append are all that there are, as long as appends tell of
// as many arrivals, in the same epoch and history of the store: who comes later finds what was
// appended before. A row whose session is not there any more is found out by its room, which says
// so.
//
// Kept are only users of whom each row is that of a live session, or of one that has ended for
// good: a row that a register does not show as online for another reason (it has not heard of the
// room yet, or the room's lease is over) may come back to life without an arrival. Bounded in bytes
// and in time; what is over a bound goes, the oldest first, and is asked for again.
#ifndef HW_KNOWN_ROWS_H
#define HW_KNOWN_ROWS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "register.pb-c.h"
#include "table.h"

enum {
    KNOWN_ROWS_MS = 60000,                   // how long they are believed
    KNOWN_ROWS_BYTES_MAX = 64 * 1024 * 1024, // of all
    KNOWN_ROWS_MAX = 16,                     // of a user: others are asked for each time
};

struct arrivals { // in an inbox, as an append told of them; count 0: it did not
    uint64_t epoch, store, count;
};
struct rows_of { // a user's rows, for who appended behind these arrivals
    uint32_t product;
    const char *user;
    struct arrivals arrivals;
    uint64_t now_ms;
};
struct known_row { // of a live session
    uint64_t incarnation, slot, generation;
    const char *device;
};
struct known_user {
    UT_hash_handle hh;
    TAILQ_ENTRY(known_user) by_age;
    struct arrivals arrivals;
    uint64_t since_ms;
    size_t bytes, key_len, count;
    char *key;              // in this block, as the devices
    struct known_row row[]; // count
};

struct known_rows {
    uint8_t hash_key[16];
    struct known_user *users;
    TAILQ_HEAD(, known_user) ages; // the oldest first
    uint64_t bytes, displaced;
};

void known_rows_init(struct known_rows *k, const uint8_t hash_key[16]);
void known_rows_deinit(struct known_rows *k);
// NULL: a register is to be asked. Valid until the next call with k.
const struct known_user *known_rows_find(struct known_rows *k, const struct rows_of *q);
// What a register answered behind that append; it may be nothing that can be kept.
void known_rows_keep(struct known_rows *k, const struct rows_of *q,
                     const Hawser__Internal__FindReply *reply);
void known_rows_forget(struct known_rows *k, uint32_t product, const char *user);

#endif
