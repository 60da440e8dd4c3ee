#include "ends.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "shared_limits.h"
#include "store_step.h"
#include "table.h"

struct log_end {
    UT_hash_handle hh;
    uint64_t behind; // so many rows were stored before it
    struct inbox_end at;
    uint32_t product;
    size_t key_len;
    char key[]; // product, user
};

static struct log_end *log_end_new(uint32_t product, const char *user) {
    size_t user_len = strnlen(user, NAME_BYTES_MAX);
    struct log_end *l = hw_calloc(1, sizeof(*l) + sizeof(product) + user_len + 1);
    l->product = product;
    l->key_len = sizeof(product) + user_len;
    memcpy(l->key, &product, sizeof(product));
    memcpy(l->key + sizeof(product), user, user_len);
    return l;
}

static void log_end_remove(struct ends *e, struct log_end *l) {
    HASH_DELETE(hh, e->logs, l);
    free(l);
}

void ends_note(struct ends *e, uint32_t product, const char *user, const struct inbox_end *at) {
    struct log_end *l = log_end_new(product, user), *known = NULL;
    unsigned hash = (unsigned)siphash(e->hash_key, l->key, l->key_len);
    l->at = *at;
    l->behind = e->backlog->added;
    HASH_FIND_BYHASHVALUE(hh, e->logs, l->key, l->key_len, hash, known);
    if (known)
        log_end_remove(e, known);
    if (HASH_COUNT(e->logs) >= ENDS_MAX) {
        e->missed++;
        free(l);
        return;
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, e->logs, l->key, l->key_len, hash, l);
}

// --- ends of messages

struct outcome_note {
    struct outcome_note *next;
    uint64_t behind; // so many rows were stored before it
    struct message_end at;
    uint32_t product;
    char text[]; // user, device: each with its NUL
};

void ends_note_message(struct ends *e, uint32_t product, const char *user,
                       const struct message_end *at) {
    size_t user_bytes = strnlen(user, NAME_BYTES_MAX) + 1;
    size_t device_len = strnlen(at->device, NAME_BYTES_MAX);
    if (e->notes >= OUTCOME_NOTES_MAX) {
        e->outcomes_missed++;
        return;
    }
    struct outcome_note *n = hw_calloc(1, sizeof(*n) + user_bytes + device_len + 1);
    memcpy(n->text, user, user_bytes - 1);
    memcpy(n->text + user_bytes, at->device, device_len);
    n->at = *at;
    n->at.device = n->text + user_bytes;
    n->product = product;
    n->behind = e->backlog->added;
    if (!e->first)
        e->end = &e->first;
    *e->end = n;
    e->end = &n->next;
    e->notes++;
}

static void outcome_note_drop(struct ends *e) {
    struct outcome_note *n = e->first;
    e->first = n->next;
    e->notes--;
    free(n);
}

// They stay until MariaDB has them: to tell one again changes nothing.
static void on_messages_told(void *arg, int error) {
    struct ends *e = arg;
    size_t count = error == 0 ? e->sent : 0;
    e->is_asking = false;
    e->sent = 0;
    e->outcomes_told += count;
    for (; count > 0; count--)
        outcome_note_drop(e);
    if (error == 0)
        ends_tell(e);
}

// Whether there were any.
static bool messages_tell(struct ends *e) {
    struct buf ends = BUF_EMPTY;
    for (struct outcome_note *n = e->first; n && e->sent < OUTCOMES_A_STATEMENT; n = n->next) {
        if (n->behind > backlog_settled(e->backlog))
            break;
        saver_maria_put_message_end(&ends, n->product, n->text, &n->at);
        e->sent++;
    }
    e->is_asking = e->sent > 0;
    if (e->is_asking)
        saver_maria_tell_ends(e->back, &ends, on_messages_told, e);
    return e->is_asking;
}

// --- both are told

static void on_ends_told(void *arg, int error) {
    struct ends *e = arg;
    e->is_asking = false;
    if (error == 0)
        ends_tell(e);
}

void ends_tell(struct ends *e) {
    struct buf logs = BUF_EMPTY;
    size_t count = 0;
    bool has_late = e->backlog->late > e->backlog->late_settled; // ends would cover old places
    if (has_late || e->is_asking || e->is_stopping || store_down_reason(e->back))
        return;
    if (messages_tell(e))
        return;
    for (struct log_end *l = e->logs, *next; l && count < ENDS_A_STATEMENT; l = next) {
        next = l->hh.next;
        if (l->behind > backlog_settled(e->backlog)) // so are those behind it
            break;
        saver_maria_put_end(&logs, l->product, l->key + sizeof(l->product), &l->at);
        log_end_remove(e, l);
        count++;
    }
    e->told += count;
    e->is_asking = count > 0;
    if (count > 0)
        saver_maria_end(e->back, &logs, on_ends_told, e);
}

void ends_init(struct ends *e, struct store *back, const struct backlog *b) {
    *e = (struct ends){.back = back, .backlog = b};
    rng_16_bytes(loop_rng(back->loop), e->hash_key);
}

void ends_stop(struct ends *e) {
    e->is_stopping = true;
}

void ends_deinit(struct ends *e) {
    struct log_end *l, *next;
    while (e->first)
        outcome_note_drop(e);
    HASH_ITER(hh, e->logs, l, next)
        log_end_remove(e, l);
}
