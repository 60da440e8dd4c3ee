// What has left inboxes since all devices have handled it, to be told to MariaDB: so a Redis that
// went back does not get it back. Of each log the newest end waits until all that was stored before
// it has landed (backlog.h). Best effort: what is over the bound, or fails, is told with the log's
// next end, or never; then such messages may come back.
//
// And the ends that single messages have met, for who asks what became of them: in the order in
// which the stores told them, each when its message has landed. What is over the bound is never
// told: such messages seem to wait until they expire.
#ifndef HW_ENDS_H
#define HW_ENDS_H

#include "backlog.h"

enum { ENDS_MAX = 100000, OUTCOME_NOTES_MAX = 200000 };

struct log_end;
struct outcome_note;
struct ends {
    struct store *back;            // borrowed
    const struct backlog *backlog; // borrowed
    struct log_end *logs;          // owned; by product and user, those that came last at the end
    uint8_t hash_key[16];
    struct outcome_note *first, **end; // owned; ends of messages, oldest first
    size_t notes, sent;                // how many; of these the first ones are under way
    bool is_asking, is_stopping;
    uint64_t told, missed;                   // ends of logs
    uint64_t outcomes_told, outcomes_missed; // ends of messages, or runs of them
};
void ends_init(struct ends *e, struct store *back, const struct backlog *b);
void ends_note(struct ends *e, uint32_t product, const char *user, const struct inbox_end *at);
void ends_note_message(struct ends *e, uint32_t product, const char *user,
                       const struct message_end *at);
void ends_tell(struct ends *e); // those that are due; harmless when MariaDB is away
void ends_stop(struct ends *e); // asks nobody any more
void ends_deinit(struct ends *e);

#endif
