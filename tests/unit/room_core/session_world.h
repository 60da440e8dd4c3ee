// The world of the session's tests: a session under an own clock, told events as lines of text;
// what it writes down is text too. `told("ROW 100 took 7")` is a step, `said("ATTACH ASK_NEWS")`
// what came of it. The log's epoch is 9 unless a line says otherwise.
#ifndef HW_SESSION_WORLD_H
#define HW_SESSION_WORLD_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "session.h"
#include "session_rest.h"

enum { EPOCH = 9, OTHER_EPOCH = 8 };

static struct session s;
static struct lease lease;
static struct session_env env;
static struct session_effects effects;
static struct buf text;
static bool was_named; // the state named the last event

static const struct ack_limits limits = {32, 256 * 1024, 0, false}, slow_limits = {1, 1, 0, false};
static const struct session_usual usual = {&limits, {EPOCH}};

static inline void world_begin(void) {
    struct session_terms terms = {.limits = &limits};
    lease_init(&lease);
    lease.is_held = true;
    env = (struct session_env){.now_ms = 1000000,
                               .lease = &lease,
                               .heads = {.asked = 4, .answered = 4},
                               .socket_takes = true};
    for (int i = 0; i < LOGS; i++)
        env.heads.log[i].epoch = EPOCH;
    session_init(&s, &terms, &lease);
}

// --- lines into events

static inline enum session_event_kind event_of(const char *line) {
    char name[24];
    ck_assert_int_eq(sscanf(line, "%23s", name), 1);
    for (int i = 0; i < SESSION_EVENT_COUNT; i++)
        if (strcmp(session_event_name((enum session_event_kind)i), name) == 0)
            return (enum session_event_kind)i;
    ck_abort_msg("no event is called %s", name);
    return EVENT_ENDED;
}

static inline uint64_t number_after(const char *line, const char *word, uint64_t otherwise) {
    const char *at = strstr(line, word);
    return at ? strtoull(at + strlen(word), NULL, 10) : otherwise;
}

static inline bool has(const char *line, const char *word) {
    return strstr(line, word) != NULL;
}

static inline struct session_row row_took(const char *line) {
    uint64_t who = number_after(line, "took ", 0);
    return (struct session_row){who, who, who};
}

static inline void parse_row(const char *line, struct session_row_answer *a) {
    a->result = has(line, "none")      ? ROW_NO_ANSWER
                : has(line, "refused") ? ROW_REFUSED
                                       : ROW_WRITTEN;
    a->refusal =
        (struct session_refusal){(uint32_t)number_after(line, "refused ", 0), 7, "because"};
    a->generation = number_after(line, "ROW ", 0);
    a->replaced = row_took(line);
    a->is_overtaken = has(line, "overtaken");
    a->client_is_gone = has(line, "gone");
}

// "ATTACHED 5 head 8", "ATTACHED 5 reset", "ATTACHED 5 epoch 8"
static inline void parse_attached(const char *line, struct session_attached *a) {
    a->result = has(line, "none") ? SAVER_NO_ANSWER : has(line, "stale") ? SAVER_STALE : SAVER_OK;
    for (int i = 0; i < FEEDS; i++)
        a->start[i].after = (struct stream_position){EPOCH, 0};
    struct session_start *inbox = &a->start[FEED_INBOX];
    inbox->after = (struct stream_position){number_after(line, "epoch ", EPOCH),
                                            number_after(line, "ATTACHED ", 0)};
    inbox->head = number_after(line, "head ", inbox->after.seq);
    inbox->is_reset = has(line, "reset");
    a->start[FEED_NEWS].is_reset = has(line, "news-too");
    a->start[FEED_NEWS].head = number_after(line, "news-head ", 0);
    a->is_known = has(line, "known");
}

static inline void parse_confirmed(const char *line, struct session_confirmed *c) {
    c->is_answer = !has(line, "none");
    c->answer.outcome = has(line, "held")        ? FENCE_HELD
                        : has(line, "rewritten") ? FENCE_REWRITTEN
                        : has(line, "higher")    ? FENCE_HIGHER
                                                 : FENCE_UNKNOWN;
    c->answer.generation = number_after(line, "as ", 0);
    c->replaced = row_took(line);
}

static inline void parse_loaded(const char *line, struct session_loaded *l) {
    l->result = has(line, "none")     ? LOADED_NO_ANSWER
                : has(line, "unread") ? LOADED_UNREAD
                : has(line, "other")  ? LOADED_OTHER
                : has(line, "old")    ? LOADED_OLD
                : has(line, "reset")  ? LOADED_RESET
                                      : LOADED_ENTRIES;
    l->head = number_after(line, "head ", 0);
    l->after = (struct stream_position){OTHER_EPOCH, number_after(line, "reset ", 0)};
    l->has_begun = has(line, "begun");
}

static inline void parse_have(const char *line, struct session_have *have) {
    have->given[FEED_INBOX] = has(line, "have ");
    have->at[FEED_INBOX] = (struct stream_position){EPOCH, number_after(line, "have ", 0)};
    have->given[FEED_NEWS] = has(line, "news ");
    have->at[FEED_NEWS] = (struct stream_position){EPOCH, number_after(line, "news ", 0)};
}

// "NOTICED 100 code 4003 have 6 news 7"
static inline void parse_notice(const char *line, struct session_notice *n) {
    n->generation = number_after(line, "NOTICED ", 0);
    n->refusal =
        (struct session_refusal){(uint32_t)number_after(line, "code ", 4001), 0, REPLACED_TEXT};
    parse_have(line, &n->have);
}

// "WANTS inbox": of what is not named, nothing
static inline void parse_wants(const char *line, uint8_t wanted[FEEDS]) {
    static const char *const names[FEEDS] = {"inbox", "news", "bulk"};
    for (int i = 0; i < FEEDS; i++)
        wanted[i] = has(line, names[i]) ? FEED_WANTED : FEED_LEFT_OUT;
}

static inline struct session_event parse(const char *line) {
    struct session_event e = {.kind = event_of(line)};
    switch (e.kind) {
    case EVENT_ADMITTED:
        e.of.order = 1;
        break;
    case EVENT_DENIED:
        e.of.refusal =
            (struct session_refusal){(uint32_t)number_after(line, "DENIED ", 0), 0, "no"};
        break;
    case EVENT_ROW:
        parse_row(line, &e.of.row);
        break;
    case EVENT_ATTACHED:
        parse_attached(line, &e.of.attached);
        break;
    case EVENT_CONFIRMED:
        parse_confirmed(line, &e.of.confirmed);
        break;
    case EVENT_NOTICED:
        parse_notice(line, &e.of.notice);
        break;
    case EVENT_HINTED:
        e.of.hint.head = (struct stream_position){number_after(line, "epoch ", EPOCH),
                                                  number_after(line, "HINTED ", 0)};
        e.of.hint.change = number_after(line, "change ", 0);
        break;
    case EVENT_LOADED:
        parse_loaded(line, &e.of.loaded);
        break;
    case EVENT_SAVED:
        e.of.saved = has(line, "none")      ? SAVER_NO_ANSWER
                     : has(line, "stale")   ? SAVER_STALE
                     : has(line, "unknown") ? SAVER_UNKNOWN
                                            : SAVER_OK;
        break;
    case EVENT_RESUMED:
        parse_have(line, &e.of.resumed.have);
        e.of.resumed.limits = has(line, "slow") ? &slow_limits : &limits;
        break;
    case EVENT_WANTS:
        parse_wants(line, e.of.wanted);
        break;
    case EVENT_TOLD:
    case EVENT_ROW_CHANGED:
    case EVENT_CONFIRM_DUE:
    case EVENT_READY:
    case EVENT_WAITED:
    case EVENT_PONGED:
    case EVENT_ATTEMPTED:
    case EVENT_NEWS_UNREAD:
    case EVENT_LOST:
    case EVENT_ENDED:
    case SESSION_EVENT_COUNT:
        break;
    }
    return e;
}

// --- effects into text

static inline void say(const struct session_effect *e) {
    buf_printf(&text, "%s%s", text.len ? " " : "", session_effect_name(e->kind));
    if (e->kind == EFFECT_OVER)
        buf_printf(&text, "(%u)", e->of.refusal.code);
    if (e->kind == EFFECT_ACKED)
        buf_printf(&text, "(%d:%u)", e->of.acked.stream, e->of.acked.messages);
    if (e->kind == EFFECT_SAY_RESET)
        buf_printf(&text, "(%d)", e->of.reset.stream);
    if (e->kind == EFFECT_ATTEMPT)
        buf_printf(&text, "(%" PRIu64 "-%" PRIu64 ")", e->of.attempt.after.seq, e->of.attempt.upto);
    if (e->kind == EFFECT_TELL_CHANGED || e->kind == EFFECT_TELL_REPLACED)
        buf_printf(&text, "(%" PRIu64 ")", e->of.row.generation);
}

// Whoever may sleep does, before each step: nothing that is asserted may change by it.
static unsigned slept;
static inline void sleep_if_it_may(void) {
    struct session_rest rest;
    if (!session_lies_down(&s, &rest))
        return;
    memset(&s, 0xa5, sizeof(s));
    uint8_t bytes[SESSION_REST_BYTES_MAX];
    (void)session_rest_pack(&rest, &usual, bytes);
    (void)session_rest_unpack(bytes, &usual, &rest);
    session_gets_up(&rest, &s);
    slept++;
}

static inline void told(const char *line) {
    struct session_event e = parse(line);
    sleep_if_it_may();
    effects.count = 0;
    was_named = session_step(&s, &e, &env, &effects);
    buf_reset(&text);
    for (size_t i = 0; i < effects.count; i++)
        say(&effects.list[i]);
}

static inline void said(const char *expected) {
    ck_assert_msg(was_named, "the state does not name it; expected '%s'", expected);
    ck_assert_str_eq(buf_cstr(&text), expected);
}

static inline void is_now(enum session_state state) {
    ck_assert_str_eq(session_state_name(s.state), session_state_name(state));
}

// --- ways into each state

static inline void tell_all(const char *const *lines) {
    for (; *lines; lines++) {
        told(*lines);
        ck_assert_msg(was_named, "%s is not named", *lines);
    }
}

static inline void reach(enum session_state state) {
    static const char *const ways[SESSION_STATE_COUNT][6] = {
        [SESSION_ASKING] = {NULL},
        [SESSION_ENTERING] = {"ADMITTED", NULL},
        [SESSION_ATTACHING] = {"ADMITTED", "ROW 100", NULL},
        [SESSION_DOUBTING] = {"ADMITTED", "ROW 100", "ATTACHED stale", NULL},
        [SESSION_ACCEPTED] = {"ADMITTED", "ROW 100", "ATTACHED 5", NULL},
        [SESSION_LIVE] = {"ADMITTED", "ROW 100", "ATTACHED 5", "TOLD", NULL},
        [SESSION_AWAY] = {"ADMITTED", "ROW 100", "ATTACHED 5", "TOLD", "LOST", NULL},
        [SESSION_REFUSED] = {"DENIED 4002", NULL},
        [SESSION_LEAVING] = {"ADMITTED", "ENDED", NULL},
        [SESSION_GONE] = {"ENDED", NULL},
    };
    world_begin();
    tell_all(ways[state]);
    is_now(state);
}

#endif
