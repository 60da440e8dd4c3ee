// Notices to rooms, this one too, that a session was replaced by a login here, or that its row has
// changed: the login that had taken it has ended, or one that came before was given it. Repeated
// for a while. Notices come from the room that has the new session, not from the register: a login
// step that was held up and is done when nobody waits for it any more ends nobody's session.
#include "close_codes.h"
#include "room_internal.h"

enum {
    NOTICE_RETRY_MS = 200,
    NOTICE_TRIES = 20,
    REASON_MAX = 256,
    CLOSE_FIRST = CLOSE_REPLACED, // what a notice may say
    CLOSE_LAST = 4399,
};

struct notice {
    struct notice *next, *prev; // in room.notices
    struct room *room;
    Hawser__Internal__ReplacedRequest replaced; // by_generation 0: to be confirmed
    Hawser__Internal__StreamPosition news;      // of it
    struct timer retry;
    int tries;
};

static void notice_free(struct notice *n) {
    struct room *r = n->room;
    loop_disarm(r->loop, &n->retry);
    *(n->prev ? &n->prev->next : &r->notices) = n->next;
    if (n->next)
        n->next->prev = n->prev;
    free(n);
}

static void notices_tell(struct timer *t);

// Also to a room that the directory does not have: we may have slept while it came. One that misses
// every notice hears of it at its next confirmation.
static void told(struct notice *n, int error) {
    struct room *r = n->room;
    if (error == 0 || r->is_stopping || ++n->tries == NOTICE_TRIES)
        notice_free(n);
    else
        loop_arm(r->loop, &n->retry, NOTICE_RETRY_MS, notices_tell);
}

static void on_replaced_told(void *arg, int error, const Hawser__Internal__ReplacedReply *reply) {
    (void)reply;
    told(arg, error);
}

static void on_changed_told(void *arg, int error, const Hawser__Internal__ConfirmRowReply *reply) {
    (void)reply;
    told(arg, error);
}

static void notices_tell(struct timer *t) {
    struct notice *n = container_of(t, struct notice, retry);
    struct peer room = room_of(n->room->cluster, n->replaced.incarnation);
    Hawser__Internal__ConfirmRowRequest changed = HAWSER__INTERNAL__CONFIRM_ROW_REQUEST__INIT;
    changed.incarnation = n->replaced.incarnation;
    changed.slot = n->replaced.slot;
    if (n->replaced.by_generation == 0)
        room_confirm_row(room, &changed, on_changed_told, n);
    else
        room_replaced(room, &n->replaced, on_replaced_told, n);
}

static struct notice *notice_new(struct room *r, const struct session_row *row) {
    struct notice *n = hw_calloc(1, sizeof(*n));
    n->room = r;
    hawser__internal__replaced_request__init(&n->replaced);
    n->replaced.incarnation = row->incarnation;
    n->replaced.slot = row->slot;
    n->replaced.generation = row->generation;
    n->next = r->notices;
    if (n->next)
        n->next->prev = n;
    r->notices = n;
    return n;
}

static void tell_replaced(struct room_binding *by, const struct session_row *row) {
    const struct stream_position *news = &room_binding_session(by)->have.at[FEED_NEWS];
    struct notice *n = notice_new(binding_room(by), row);
    n->replaced.by_generation = room_binding_generation(by);
    n->replaced.code = CLOSE_REPLACED;
    hawser__internal__stream_position__init(&n->news);
    n->news.stream = FEED_NEWS;
    n->news.epoch = news->epoch;
    n->news.seq = news->seq;
    n->replaced.news = &n->news;
    notices_tell(&n->retry);
}

// --- to this room

static struct room_binding *own(struct room *r, const struct session_row *row) {
    return row->incarnation == r->env->incarnation ? room_binding_of_row_slot(r, row->slot) : NULL;
}

void notice_replaced(struct room_binding *by, const struct session_row *row) {
    struct room *r = binding_room(by);
    struct room_binding *b = own(r, row);
    struct session_event e = {.kind = EVENT_NOTICED,
                              .of.notice = {.generation = row->generation,
                                            .refusal = {CLOSE_REPLACED, 0, REPLACED_TEXT},
                                            .have = room_binding_session(by)->have}};
    if (b)
        room_binding_tell(b, &e);
    else if (row->incarnation != r->env->incarnation)
        tell_replaced(by, row);
}

// The text is kept with the binding as long as the session may speak of it: the first one's, if
// there are several.
static struct session_refusal refusal_of(struct room_binding *b,
                                         const Hawser__Internal__ReplacedRequest *n) {
    struct awake *a = room_binding_wake(b);
    bool has_code = n->code >= CLOSE_FIRST && n->code <= CLOSE_LAST;
    uint32_t code = has_code ? n->code : CLOSE_REPLACED;
    size_t len = strlen(n->reason);
    if (!a->reason && code != CLOSE_REPLACED && id_is_valid(n->reason, len, REASON_MAX))
        a->reason = hw_strdup(n->reason);
    const char *otherwise = code == CLOSE_REPLACED ? REPLACED_TEXT : "ended by the application";
    return (struct session_refusal){code, (uint32_t)n->retry_after_ms,
                                    a->reason ? a->reason : otherwise};
}

void notice_got(struct room *r, const Hawser__Internal__ReplacedRequest *n) {
    struct room_binding *b = own(r, &(struct session_row){n->incarnation, n->slot, n->generation});
    struct session_event e = {.kind = EVENT_NOTICED, .of.notice.generation = n->generation};
    if (!b)
        return;
    e.of.notice.refusal = refusal_of(b, n);
    if (n->news && n->news->stream < FEEDS) {
        e.of.notice.have.given[n->news->stream] = true;
        e.of.notice.have.at[n->news->stream] =
            (struct stream_position){n->news->epoch, n->news->seq};
    }
    room_binding_tell(b, &e);
}

void notice_changed(struct room *r, const struct session_row *row) {
    struct room_binding *b = own(r, row);
    if (b)
        room_binding_tell_kind(b, EVENT_ROW_CHANGED);
    else if (row->incarnation != r->env->incarnation)
        notices_tell(&notice_new(r, row)->retry);
}

void notices_deinit(struct room *r) {
    while (r->notices)
        notice_free(r->notices);
}
