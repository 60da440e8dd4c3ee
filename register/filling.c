#include "filling.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cluster.pb-c.h"
#include "maria_catalog.h"
#include "store_step.h"
#include "table.h"

enum {
    FILLING_MS = 200,
    PASS_MS = 5000,
    PASS_OVER_MS = 60 * 1000, // what a pass over the latest looks at
    FAILED_PASS_MS = 1000,
    BAD_ROWS_MS = 60 * 1000, // until they are looked at anew
};

struct back_entry {
    UT_hash_handle hh;
    uint64_t version;
    char key[];
};

// --- begun, and broken off

static void entries_free(struct filling *f) {
    struct back_entry *e, *next;
    HASH_ITER(hh, f->entries, e, next) {
        HASH_DEL(f->entries, e);
        free(e);
    }
}

static void filling_pause(struct filling *f, uint64_t ms) {
    f->is_asking = false;
    f->next_ms = loop_now_ms(f->loop) + ms;
    entries_free(f);
}

// True: what was answered is of use no more.
static bool filling_failed(struct filling *f, int error) {
    if (error == 0 && store_ups(f->front) == f->ups)
        return false;
    f->wants_all = true;
    filling_pause(f, FAILED_PASS_MS);
    return true;
}

// --- a page of either store, whose entries go to the other one

static void page_begins(struct filling *f, void (*then)(struct filling *f)) {
    f->open = 1;
    f->error = 0;
    f->then = then;
}

static void page_part_over(struct filling *f, int error) {
    if (error != 0 && f->error == 0)
        f->error = error;
    if (--f->open == 0 && !filling_failed(f, f->error))
        f->then(f);
}

static void note_bad(struct filling *f, const char *key, const char *why) {
    f->bad_in_pass++;
    snprintf(f->bad_key, sizeof(f->bad_key), "%s", log_quote_str(key));
    log_event(f->log, LOG_ERROR, "a catalog entry is left out", "key=%s reason=\"%s\"", f->bad_key,
              why);
}

// --- from the front to the back

static void pass_ends(struct filling *f) {
    bool was_all = f->within_ms == 0;
    if (was_all) {
        f->wants_all = false;
        f->count.bad = f->bad_in_pass;
        f->again_ms = loop_now_ms(f->loop) + BAD_ROWS_MS;
        log_event(f->log, LOG_INFO, "catalog compared with mariadb",
                  "rows=%u filled_in_all=%" PRIu64 " kept_in_all=%" PRIu64 " bad=%" PRIu64,
                  HASH_COUNT(f->entries), f->count.filled, f->count.kept, f->count.bad);
    }
    filling_pause(f, PASS_MS);
}

static void ask_front(struct filling *f);

static void front_page_over(struct filling *f) {
    if (f->more)
        ask_front(f);
    else
        pass_ends(f);
}

static void on_entry_kept(void *arg, int error, const ProtobufCMessage *reply) {
    struct filling *f = arg;
    (void)reply;
    f->count.kept += error == 0 ? 1 : 0;
    page_part_over(f, error);
}

static void on_front_page(void *arg, int error, const ProtobufCMessage *message) {
    struct filling *f = arg;
    const Hawser__Internal__WatchReply *reply = (const Hawser__Internal__WatchReply *)message;
    if (filling_failed(f, error))
        return;
    f->epoch = reply->catalog_epoch;
    f->seen = reply->catalog_version;
    f->more = reply->more;
    page_begins(f, front_page_over);
    for (size_t i = 0; i < reply->n_entry; i++) {
        Hawser__Internal__CatalogKeepRequest q = HAWSER__INTERNAL__CATALOG_KEEP_REQUEST__INIT;
        struct back_entry *e = NULL;
        HASH_FIND_STR(f->entries, reply->entry[i]->key, e);
        if (e && e->version >= reply->entry[i]->version)
            continue;
        if (!register_maria_takes(reply->entry[i])) {
            note_bad(f, reply->entry[i]->key, "it is too large for a row in mariadb");
            continue;
        }
        q.entry = reply->entry[i];
        f->open++;
        store_call(f->back, &q.base, on_entry_kept, f);
    }
    page_part_over(f, 0);
}

static void ask_front(struct filling *f) {
    Hawser__Internal__WatchRequest q = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    q.catalog_epoch = f->epoch;
    q.catalog_version = f->seen;
    store_call(f->front, &q.base, on_front_page, f);
}

// --- from the back to the front

static void on_said(void *arg, int error, const ProtobufCMessage *reply) {
    struct filling *f = arg;
    if (filling_failed(f, error))
        return;
    f->is_over = ((const Hawser__Internal__CatalogFilledReply *)reply)->filled;
    f->epoch = f->seen = 0;
    ask_front(f);
}

static void ask_back(struct filling *f);

static void back_page_over(struct filling *f) {
    Hawser__Internal__CatalogFilledRequest q = HAWSER__INTERNAL__CATALOG_FILLED_REQUEST__INIT;
    if (f->more) {
        ask_back(f);
        return;
    }
    if (f->within_ms != 0) {
        pass_ends(f);
        return;
    }
    q.is = true;
    q.number = f->number;
    store_call(f->front, &q.base, on_said, f);
}

static void on_entry_filled(void *arg, int error, const ProtobufCMessage *reply) {
    struct filling *f = arg;
    if (error == 0 && ((const Hawser__Internal__CatalogFillReply *)reply)->taken)
        f->count.filled++;
    page_part_over(f, error);
}

static void note_entry(struct filling *f, const Hawser__Internal__CatalogEntry *from) {
    size_t len = strlen(from->key);
    struct back_entry *e = hw_malloc(sizeof(*e) + len + 1);
    e->version = from->version;
    memcpy(e->key, from->key, len + 1);
    HASH_ADD_STR(f->entries, key, e);
}

static void on_back_page(void *arg, int error, const ProtobufCMessage *message) {
    struct filling *f = arg;
    const Hawser__Internal__CatalogPageReply *reply =
        (const Hawser__Internal__CatalogPageReply *)message;
    if (filling_failed(f, error))
        return;
    f->more = reply->more;
    f->number = reply->number > f->number ? reply->number : f->number;
    buf_reset(&f->after);
    buf_append(&f->after, reply->last.data, reply->last.len);
    for (size_t i = 0; i < reply->n_unreadable && f->within_ms == 0; i++)
        note_bad(f, reply->unreadable[i], "its row in mariadb cannot be read");
    page_begins(f, back_page_over);
    for (size_t i = 0; i < reply->n_entry; i++) {
        Hawser__Internal__CatalogFillRequest q = HAWSER__INTERNAL__CATALOG_FILL_REQUEST__INIT;
        q.entry = reply->entry[i];
        if (f->within_ms == 0)
            note_entry(f, q.entry);
        f->open++;
        store_call(f->front, &q.base, on_entry_filled, f);
    }
    page_part_over(f, 0);
}

static void ask_back(struct filling *f) {
    Hawser__Internal__CatalogPageRequest q = HAWSER__INTERNAL__CATALOG_PAGE_REQUEST__INIT;
    q.after = (ProtobufCBinaryData){f->after.len, (uint8_t *)f->after.data};
    q.within_ms = f->within_ms;
    store_call(f->back, &q.base, on_back_page, f);
}

static void pass_begins(struct filling *f, uint64_t within_ms) {
    f->is_asking = true;
    f->within_ms = within_ms;
    f->number = 0;
    f->bad_in_pass = 0;
    buf_reset(&f->after);
    ask_back(f);
}

// --- when

static void on_whether_filled(void *arg, int error, const ProtobufCMessage *reply) {
    struct filling *f = arg;
    if (filling_failed(f, error))
        return;
    f->is_known = true;
    f->is_over = ((const Hawser__Internal__CatalogFilledReply *)reply)->filled;
    f->wants_all = true;
    filling_pause(f, 0);
}

static void ask_whether_filled(struct filling *f) {
    Hawser__Internal__CatalogFilledRequest q = HAWSER__INTERNAL__CATALOG_FILLED_REQUEST__INIT;
    f->ups = store_ups(f->front);
    f->is_over = f->is_known = false;
    f->is_asking = true;
    store_call(f->front, &q.base, on_whether_filled, f);
}

static void on_filling_tick(struct timer *t) {
    struct filling *f = container_of(t, struct filling, tick);
    loop_arm(f->loop, &f->tick, FILLING_MS, on_filling_tick);
    uint64_t now = loop_now_ms(f->loop);
    if (f->is_asking || store_down_reason(f->front))
        return;
    if (!f->is_known || f->ups != store_ups(f->front)) {
        ask_whether_filled(f);
        return;
    }
    if (store_down_reason(f->back)) {
        f->wants_all = true; // it may be another one, or have gone back
        f->next_ms = now;
        return;
    }
    bool is_mended = f->count.bad > 0 && now >= f->again_ms; // perhaps
    if (now >= f->next_ms)
        pass_begins(f, f->wants_all || is_mended ? 0 : PASS_OVER_MS);
}

// --- its life

void filling_init(struct filling *f, struct store *front, struct store *back, struct log *log) {
    f->front = front;
    f->back = back;
    f->loop = front->loop;
    f->log = log;
    loop_arm(f->loop, &f->tick, 0, on_filling_tick);
}

void filling_stop(struct filling *f) {
    loop_disarm(f->loop, &f->tick);
}

void filling_deinit(struct filling *f) {
    entries_free(f);
    buf_free(&f->after);
}

bool filling_is_over(const struct filling *f) {
    return f->is_over && f->ups == store_ups(f->front);
}

const char *filling_reason(struct filling *f) {
    if (filling_is_over(f))
        return NULL;
    const char *why = store_down_reason(f->back);
    snprintf(f->reason, sizeof(f->reason), "the catalog is not filled from mariadb yet%s%s",
             why ? ": " : "", why ? why : "");
    return f->reason;
}
