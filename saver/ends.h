// What has left inboxes since all devices have handled it, to be told to MariaDB: so a Redis that
// went back does not get it back. Of each log the newest end waits until all that was stored before
// it has landed (backlog.h). Best effort: what is over the bound, or fails, is told with the log's
// next end, or never; then such messages may come back.
#ifndef HW_ENDS_H
#define HW_ENDS_H

#include "backlog.h"

enum { ENDS_MAX = 100000 };

struct log_end;
struct ends {
    struct store *back;            // borrowed
    const struct backlog *backlog; // borrowed
    struct log_end *logs;          // owned; by product and user, those that came last at the end
    uint8_t hash_key[16];
    bool is_asking, is_stopping;
    uint64_t told, missed; // ends of logs
};
void ends_init(struct ends *e, struct store *back, const struct backlog *b);
void ends_note(struct ends *e, uint32_t product, const char *user, const struct inbox_end *at);
void ends_tell(struct ends *e); // those that are due; harmless when MariaDB is away
void ends_stop(struct ends *e); // asks nobody any more
void ends_deinit(struct ends *e);

#endif
