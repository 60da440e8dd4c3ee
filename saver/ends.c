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
    for (struct log_end *l = e->logs, *next; l && count < ENDS_A_STATEMENT; l = next) {
        next = l->hh.next;
        if (l->behind > e->backlog->landed + e->backlog->put_aside) // so are those behind it
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
    HASH_ITER(hh, e->logs, l, next)
        log_end_remove(e, l);
}
