// What a session asks of other daemons. Each answer comes back as an event of it.
#ifndef HW_QUESTIONS_H
#define HW_QUESTIONS_H

#include "saver.pb-c.h"
#include "session.h"

struct room;
struct room_binding;

void ask_enter(struct room_binding *b);
void ask_attach(struct room_binding *b);
void ask_row(struct room_binding *b);
void ask_count_takeover(struct room_binding *b); // if its client is still there
void ask_head(struct room_binding *b);
// The same, and the inbox counts an arrival: for whom its row is once more. Asked again until it is
// answered.
void ask_arrival(struct room_binding *b);
void ask_arrivals_again(struct room *r); // those without an answer
void ask_load(struct room_binding *b);
void ask_save(struct room_binding *b); // with others, at the end of the iteration
void ask_attempt(struct room_binding *b, const struct session_effect *e); // once: it may get lost
struct saver_positions {                                                  // as a request names them
    Hawser__Internal__StreamPosition at[FEEDS], *list[FEEDS];
};
// Those that are given; how many.
size_t saver_positions_fill(struct saver_positions *out, const struct session_have *have);

#endif
