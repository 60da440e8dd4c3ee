// What the files of a session's questions share.
#ifndef HW_QUESTIONS_INTERNAL_H
#define HW_QUESTIONS_INTERNAL_H

#include "room_internal.h"

struct question_asker {
    struct room *room;
    uint32_t slot, turn;
    uint64_t asked_ms;
    struct admission *admission; // of a counted one's kind
};

struct question_asker *asker_new(const struct room_binding *b);
// Of a kind of which register and saver are not to have more than they can do.
struct question_asker *counted_asker_new(const struct room_binding *b, struct admission *kind);
struct question_asker *login_asker_new(const struct room_binding *b); // counted
// Who asked, if it is still there; frees the asker.
struct room_binding *asker_over(void *arg);
struct room_binding *counted_asker_over(void *arg, int error);

struct peer saver_of_binding(const struct room_binding *b);

#endif
