// The history of a server's data, named by run_id and master_replid together: a server that was
// primary, replica and primary again has its run_id still. A key says which one it is, and every
// script compares it with the one that its caller knows (lua_embed.py). Without I/O.
//
// Who connects asks for the key, then for INFO, and where they differ makes the key say what INFO
// says, unless somebody has changed it since: then he is late himself. The last two bytes are drawn
// then: where all keys were deleted, and the server is the one that it was, it is another history.
#ifndef HW_REDIS_HISTORY_H
#define HW_REDIS_HISTORY_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "redis_args.h"

#define REDIS_HISTORY_KEY "hw:history"
enum { REDIS_HISTORY_BYTES = 6, REDIS_HISTORY_DRAWN = 2 }; // of them, the last

struct redis_history {
    uint8_t is[REDIS_HISTORY_BYTES];   // by INFO and the key; zeros: not known
    uint8_t said[REDIS_HISTORY_BYTES]; // by the key, before INFO was asked for
    size_t said_len;                   // 0: the key was not there
};

void redis_history_said(struct redis_history *h, const redisReply *reply); // NULL: an error
void redis_history_is(struct redis_history *h, const char *info, uint64_t random);
bool redis_history_is_still(const struct redis_history *h, const char *info);
bool redis_history_has_key(const struct redis_history *h); // it says what INFO says
// The command that makes the key say so: an error where somebody has changed it since to another.
// The answer (a string) is what the key says then. false: no history of this server.
void redis_history_claim(const struct redis_history *h, struct redis_args *out);
bool redis_history_claimed(struct redis_history *h, const redisReply *reply);

#endif
