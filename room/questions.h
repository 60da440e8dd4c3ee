// What a session asks of other daemons: each answer comes back as an event of it.
#ifndef HW_QUESTIONS_H
#define HW_QUESTIONS_H

#include "admission.h"
#include "handles.h"
#include "loop.h"
#include "saver.pb-c.h"
#include "session.h"

enum {
    ROW_LAST_MOMENT_MS = 3000, // of a step that writes a row: when it is over, we have given up
};

struct room;
struct room_binding;

struct questions {
    uint64_t logins_asked;                         // of the register
    struct admission logins, confirmations, heads; // how many are under way, of each kind
    struct handles arrivals;                       // that the saver did not answer
    struct room_binding *to_save;                  // this iteration's
    struct hook flush_saves;
};

// The head that requests have alike: whose session asks, and by which generation. They are only
// read.
#define QUESTION_OF_USER(request, b)                                                               \
    ((request)->product = (b)->product->number,                                                    \
     (request)->user = (char *)(uintptr_t)room_binding_user(b))
#define QUESTION_OF(request, b)                                                                    \
    (QUESTION_OF_USER(request, b), (request)->device = (b)->conn->device)
#define QUESTION_BY(request, b)                                                                    \
    (QUESTION_OF(request, b), (request)->generation = room_binding_generation(b))

// --- questions_row.c
void ask_enter(struct room_binding *b);
void ask_row(struct room_binding *b);
void ask_count_takeover(struct room_binding *b); // if its client is still there

// --- questions_positions.c
void ask_attach(struct room_binding *b);
void ask_save(struct room_binding *b); // with others, at the end of the iteration
void ask_attempt(struct room_binding *b, const struct session_effect *e); // once: it may get lost
struct saver_positions {                                                  // as a request names them
    Hawser__Internal__StreamPosition at[FEEDS], *list[FEEDS];
};
// Those that are given; how many.
size_t saver_positions_fill(struct saver_positions *out, const struct session_have *have);

// --- questions_inbox.c
void ask_head(struct room_binding *b);
// The same, and the inbox counts an arrival: for whom its row is once more. Asked again until it is
// answered.
void ask_arrival(struct room_binding *b);
void ask_arrivals_again(struct room *r); // those without an answer
void ask_load(struct room_binding *b);

#endif
