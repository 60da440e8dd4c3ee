// A log, a news window before it, readers, and the questions between them. A broadcast is the text
// "EPOCH.SEQ ", so that what a reader gets says where it is from.
#ifndef HW_NEWS_WORLD_H
#define HW_NEWS_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "news_window.h"
#include "suite.h"

// Check's own assertions write to a file each time: too slow for millions.
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            ck_abort_msg("%s", #what);                                                             \
    } while (0)

enum { GRID = 4, BLOCK = 3000, QUESTIONS = 256, GAP_AT = 6 };

static const struct news_limits limits = {.block_bytes = BLOCK,
                                          .block_messages = GRID,
                                          .product_bytes = 2 * BLOCK,
                                          .room_bytes = 3 * BLOCK,
                                          .asked_max = 2,
                                          .idle_ms = 1000};
static const struct news_window_limits window_limits = {.bytes = 100, .entries = 4};

struct question {
    struct news_ask ask;
    uint64_t epoch, head; // of the log when it was asked: what it answers with
};

static struct news_room room;
static struct news_window window;
static struct handles told;
static struct question question[QUESTIONS];
static size_t questions;
static uint64_t log_epoch, log_head, now;
static uint32_t answer_max; // messages that fit into an answer

static void setup(void) {
    news_room_init(&room, &limits);
    news_window_init(&window, &window_limits, &room);
    news_window_start(&window, 1, 0, NULL);
    questions = 0;
    now = 1000;
    log_epoch = 1;
    log_head = 0;
    answer_max = GRID;
}

static void teardown(void) {
    news_window_deinit(&window, NULL);
    handles_deinit(&told);
    CHECK(room.bytes == 0);
    CHECK(!news_room_has_wanted(&room));
}

// Seqs GAP_AT and the next of each log are one gap.
static uint64_t entry_make(uint64_t epoch, uint64_t seq, struct news_entry *e, char frame[32]) {
    *e = (struct news_entry){.first = seq, .last = seq};
    if (seq == GAP_AT) {
        e->last = seq + 1;
        e->is_gap = true;
    }
    e->len = (uint32_t)snprintf(frame, 32, "%llu.%llu ", (unsigned long long)epoch,
                                (unsigned long long)seq);
    return e->last;
}

// One more message in the log; `known`: the room hears of it with its text.
static void broadcast(bool known) {
    struct news_entry e;
    char frame[32];
    uint64_t first = log_head + 1;
    log_head = entry_make(log_epoch, first, &e, frame);
    if (known && news_window_takes(&window, e.first, e.last))
        news_window_add(&window, &e, (const uint8_t *)frame);
}

static void broadcasts(int count) {
    for (int i = 0; i < count; i++)
        broadcast(true);
}

// A product that comes when its log has that many already.
static void begin_at(uint64_t head) {
    log_head = head;
    news_window_start(&window, log_epoch, head, NULL);
}

static void another_log(void) {
    log_epoch++;
    log_head = 0;
    news_window_start(&window, log_epoch, 0, &told);
}

static void ask_all(void) {
    struct news_ask ask;
    while (news_room_ask(&room, &ask)) {
        CHECK(questions < QUESTIONS);
        question[questions++] = (struct question){ask, log_epoch, log_head};
    }
    CHECK(window.older.bytes <= limits.product_bytes + BLOCK);
    CHECK(room.bytes <= limits.room_bytes + BLOCK);
}

// The oldest question; true when a block came of it.
static bool answer(bool lost) {
    CHECK(questions > 0);
    struct question q = question[0];
    memmove(question, question + 1, --questions * sizeof(question[0]));
    struct news_block *b = news_blocks_answer(q.ask.of, q.ask.ticket);
    if (!b)
        return false;
    uint32_t most = q.ask.messages < answer_max ? q.ask.messages : answer_max, messages = 0;
    for (uint64_t seq = q.ask.after + 1; !lost && seq <= q.head && messages < most; messages++) {
        struct news_entry e;
        char frame[32];
        if (seq == GAP_AT + 1) { // a reader cannot be there, but a question may be
            e = (struct news_entry){.first = seq, .last = seq, .is_gap = true};
            seq++;
        } else {
            seq = entry_make(q.epoch, seq, &e, frame) + 1;
        }
        CHECK(news_block_add(b, &e, (const uint8_t *)frame));
    }
    return news_block_settle(b, now, &told);
}

static const char *read_after(uint64_t after, uint64_t reader) {
    static char text[512];
    struct news_range range;
    switch (news_window_find(&window, &(struct news_seek){after, reader, now}, &range)) {
    case NEWS_NONE:
        return "none";
    case NEWS_LATER:
        return "later";
    case NEWS_HERE:
        break;
    }
    size_t len = 0;
    for (const struct news_entry *e = range.entry; e < range.end; e++) {
        memcpy(text + len, range.frames + e->offset, e->len);
        len += e->len;
    }
    text[len ? len - 1 : 0] = '\0';
    return text;
}
#define READS(after, text) ck_assert_str_eq(read_after((after), 1), text)
#define READS_AS(reader, after, text) ck_assert_str_eq(read_after((after), (reader)), text)

// Asks what is wanted; the open questions as "AFTER+MESSAGES ...".
static const char *asked(void) {
    static char text[512];
    size_t len = 0;
    ask_all();
    text[0] = '\0';
    for (size_t i = 0; i < questions; i++)
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu+%u", len ? " " : "",
                             (unsigned long long)question[i].ask.after, question[i].ask.messages);
    return text;
}
#define ASKED(text) ck_assert_str_eq(asked(), text)

static const char *who_was_told(void) {
    static char text[512];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < told.count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu", len ? " " : "",
                                (unsigned long long)told.list[i]);
    handles_deinit(&told);
    return text;
}
#define TOLD(text) ck_assert_str_eq(who_was_told(), text)

#endif
