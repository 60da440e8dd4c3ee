// Sessions in Redis: the steps' arguments and answers.
#include "redis_internal.h"

#include <assert.h>

#include "bytes.h"
#include "table.h"

// --- live sessions of a product, by run: counted beside the rows, and only told of runs that live

static void on_session_counted(void *arg, int error, const redisReply *reply) {
    (void)arg; // a count that is lost is off by one until the run ends
    (void)error;
    (void)reply;
}

static void online_key(char key[REDIS_KEY_BYTES], uint32_t product) {
    snprintf(key, REDIS_KEY_BYTES, "hw:{%u}:on", product);
}

// One command for all that an iteration of the loop has counted of a run.
struct session_count {
    UT_hash_handle hh;
    struct session_count_key {
        uint64_t product, incarnation;
    } key;
    long long by;
};

static void register_counts_due(struct hook *h);

static void count_session(struct redis_store *s, uint32_t product, uint64_t incarnation, int by) {
    struct register_redis *r = register_redis_of(s);
    struct session_count_key key = {product, incarnation};
    struct session_count *c = NULL;
    if (incarnation == 0)
        return;
    HASH_FIND(hh, r->counts, &key, sizeof(key), c);
    if (!c) {
        c = hw_calloc(1, sizeof(*c));
        c->key = key;
        HASH_ADD(hh, r->counts, key, sizeof(key), c);
    }
    c->by += by;
    hook_schedule(s->store.loop, &r->counts_hook, register_counts_due);
}

static void send_count(struct redis_store *s, const struct session_count *c) {
    char key[REDIS_KEY_BYTES], field[24], change[24];
    const char *const word[] = {"HINCRBY", key, field, change, NULL};
    online_key(key, (uint32_t)c->key.product);
    snprintf(field, sizeof(field), "%llu", (unsigned long long)c->key.incarnation);
    snprintf(change, sizeof(change), "%lld", c->by);
    if (c->by != 0)
        redis_store_ask(s, &(struct redis_words){key, "i", word}, on_session_counted, s);
}

void register_counts_send(struct redis_store *s) {
    struct session_count *all = register_redis_of(s)->counts, *c, *next;
    register_redis_of(s)->counts = NULL; // what is sent here comes here again, and finds nothing
    HASH_ITER(hh, all, c, next) {
        send_count(s, c);
        HASH_DEL(all, c);
        free(c);
    }
}

void register_counts_forget(struct register_redis *s) {
    struct session_count *c, *next;
    hook_stop(&s->counts_hook);
    HASH_ITER(hh, s->counts, c, next) {
        HASH_DEL(s->counts, c);
        free(c);
    }
}

static void register_counts_due(struct hook *h) {
    register_counts_send(&container_of(h, struct register_redis, counts_hook)->base);
}

// --- rows

enum { SLOT_BYTES = 8 };

// A row has its length in one byte.
static struct redis_bytes row_text(const char *text) {
    size_t len = strlen(text);
    assert(len <= ROW_TEXT_MAX);
    return (struct redis_bytes){text, len};
}

static struct redis_bytes row_slot(uint8_t out[SLOT_BYTES], uint64_t slot) {
    be64_put(out, slot);
    return (struct redis_bytes){out, SLOT_BYTES};
}

static uint64_t slot_at(const redisReply *r, size_t i) {
    const redisReply *e = redis_reply_at(r, i);
    return e && e->len == SLOT_BYTES ? be64_get((const uint8_t *)e->str) : 0;
}

// The scripts' numbers are exact up to here.
static uint64_t row_number(uint64_t n) {
    uint64_t max = (UINT64_C(1) << 53) - 1;
    return n < max ? n : max;
}

static char *text_at(const redisReply *r, size_t i) {
    const redisReply *e = redis_reply_at(r, i);
    return hw_strdup(e && e->str ? e->str : "");
}

// --- login

// The scripts login and confirm tell the row before alike.
_Static_assert((int)REGISTER_LOGIN_AT_BEFORE_INC == (int)REGISTER_CONFIRM_AT_BEFORE_INC &&
                   (int)REGISTER_LOGIN_AT_RUNS == (int)REGISTER_CONFIRM_AT_RUNS,
               "replaced_row() reads both");

static Hawser__Internal__SessionRow *replaced_row(const redisReply *r, const char *device) {
    Hawser__Internal__SessionRow *row = hw_malloc(sizeof(*row));
    hawser__internal__session_row__init(row);
    row->device = hw_strdup(device);
    row->online = true;
    row->incarnation = redis_reply_u64(r, REGISTER_LOGIN_AT_BEFORE_INC);
    row->slot = slot_at(r, REGISTER_LOGIN_AT_BEFORE_SLOT);
    row->generation = redis_reply_u64(r, REGISTER_LOGIN_AT_BEFORE_GENERATION);
    row->room = text_at(r, REGISTER_LOGIN_AT_BEFORE_ROOM);
    row->address = text_at(r, REGISTER_LOGIN_AT_BEFORE_ADDRESS);
    row->since_ms = redis_reply_u64(r, REGISTER_LOGIN_AT_BEFORE_SINCE);
    return row;
}

static void uncount_runs(struct redis_store *s, uint32_t product, const redisReply *runs) {
    for (size_t i = 0; runs && i < runs->elements; i++)
        count_session(s, product, redis_reply_u64(runs, i), -1);
}

static void take_device_names(Hawser__Internal__LoginReply *reply, const redisReply *names) {
    size_t n = names ? names->elements : 0;
    reply->device = n ? hw_calloc(n, sizeof(reply->device[0])) : NULL;
    for (size_t i = 0; i < n; i++)
        reply->device[reply->n_device++] = text_at(names, i);
}

static void on_login(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__LoginRequest *q = (const Hawser__Internal__LoginRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__LoginReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__login_reply__init(reply);
    reply->refused = (uint32_t)redis_reply_u64(r, REGISTER_LOGIN_AT_REFUSED);
    reply->retry_after_ms = (uint32_t)redis_reply_u64(r, REGISTER_LOGIN_AT_RETRY_AFTER);
    if (reply->refused == 0) {
        reply->generation = redis_reply_u64(r, REGISTER_LOGIN_AT_GENERATION);
        if (redis_reply_u64(r, REGISTER_LOGIN_AT_WAS_ONLINE) == 1)
            count_session(redis_store_of(p), q->product,
                          redis_reply_u64(r, REGISTER_LOGIN_AT_BEFORE_INC), -1);
        count_session(redis_store_of(p), q->product, q->incarnation, 1);
        if (redis_reply_u64(r, REGISTER_LOGIN_AT_REPLACES) == 1)
            reply->replaced = replaced_row(r, q->device);
        uncount_runs(redis_store_of(p), q->product, redis_reply_at(r, REGISTER_LOGIN_AT_RUNS));
        take_device_names(reply, redis_reply_at(r, REGISTER_LOGIN_AT_DEVICES));
    } else if (redis_reply_u64(r, REGISTER_LOGIN_AT_GENERATION) == 1) {
        reply->devices_full = true;
        reply->retry_after_ms = DEVICES_RETRY_MS;
    }
    store_step_complete(p, 0, &reply->base);
}

static uint32_t devices_max(uint32_t given) {
    return given ? given : DEVICES_PER_USER;
}

void register_redis_login(struct store_step *p, const Hawser__Internal__LoginRequest *q) {
    const struct buf *live = &register_redis_of(redis_store_of(p))->live;
    struct register_keys keys;
    if (register_view_is_missing(p))
        return;
    store_step_keep(p, &q->base);
    register_keys_of(&keys, q->product, q->user);
    uint8_t slot[SLOT_BYTES];
    struct register_login_args args = {
        .rows = keys.rows,
        .takeovers = keys.takeovers,
        .user = q->user,
        .device = q->device,
        .room = row_text(q->room),
        .inc = q->incarnation,
        .slot = row_slot(slot, q->slot),
        .address = row_text(q->address),
        .not_after = q->not_after_ms,
        .ago = q->asked_ago_ms,
        .live = {live->data, live->len},
        .max = devices_max(q->devices_max),
    };
    register_login_run(redis_store_of(p), &args, on_login, p);
}

static void on_takeover(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__TakeoverReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__takeover_reply__init(reply);
    store_step_complete(arg, 0, &reply->base);
}

void register_redis_takeover(struct store_step *p, const Hawser__Internal__TakeoverRequest *q) {
    struct register_keys keys;
    register_keys_of(&keys, q->product, q->user);
    struct register_takeover_args args = {keys.rows, keys.takeovers, q->user, q->device};
    register_takeover_run(redis_store_of(p), &args, on_takeover, p);
}

// --- by incarnation and generation

static void on_drop(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__DropRequest *q = (const Hawser__Internal__DropRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__DropReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__drop_reply__init(reply);
    reply->dropped = r->integer == 1;
    if (reply->dropped)
        count_session(redis_store_of(p), q->product, q->incarnation, -1);
    store_step_complete(p, 0, &reply->base);
}

void register_redis_drop(struct store_step *p, const Hawser__Internal__DropRequest *q) {
    struct register_keys keys;
    store_step_keep(p, &q->base);
    register_keys_of(&keys, q->product, q->user);
    struct register_drop_args args = {keys.rows, q->user, q->device, q->incarnation, q->generation};
    register_drop_run(redis_store_of(p), &args, on_drop, p);
}

// --- packed rows

// What is left of a user's packed rows. They come from Redis: what ends too soon is bad, and so is
// all that stands behind it.
struct row_reader {
    const uint8_t *at, *end;
    bool is_bad;
};

// The lowest byte first, as scripts/part/row_format.lua packs it.
static uint64_t read_number(struct row_reader *r, int bytes) {
    if (r->end - r->at < bytes) {
        r->is_bad = true;
        return 0;
    }
    r->at += bytes;
    return le_get(r->at - bytes, (size_t)bytes);
}

static char *read_text(struct row_reader *r) {
    size_t len = (size_t)read_number(r, 1);
    if (r->is_bad || (size_t)(r->end - r->at) < len) {
        r->is_bad = true;
        return hw_strdup("");
    }
    char *text = hw_strndup((const char *)r->at, len);
    r->at += len;
    return text;
}

static uint64_t read_slot(struct row_reader *r) {
    if (r->is_bad || r->end - r->at < SLOT_BYTES) {
        r->is_bad = true;
        return 0;
    }
    r->at += SLOT_BYTES;
    return be64_get(r->at - SLOT_BYTES);
}

static void pass_text(struct row_reader *r) {
    size_t len = (size_t)read_number(r, 1);
    if (r->is_bad || (size_t)(r->end - r->at) < len)
        r->is_bad = true;
    else
        r->at += len;
}

// --- confirmations

static void on_confirm(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__ConfirmRequest *q =
        (const Hawser__Internal__ConfirmRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__ConfirmReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__confirm_reply__init(reply);
    reply->outcome = (Hawser__Internal__Confirmed)redis_reply_u64(r, REGISTER_CONFIRM_AT_OUTCOME);
    reply->generation = redis_reply_u64(r, REGISTER_CONFIRM_AT_GENERATION);
    if (reply->outcome == HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN) {
        uint64_t before = redis_reply_u64(r, REGISTER_CONFIRM_AT_WAS_ONLINE) == 1
                              ? redis_reply_u64(r, REGISTER_CONFIRM_AT_BEFORE_INC)
                              : 0;
        if (before != q->incarnation) {
            count_session(redis_store_of(p), q->product, before, -1);
            count_session(redis_store_of(p), q->product, q->incarnation, 1);
        }
        uncount_runs(redis_store_of(p), q->product, redis_reply_at(r, REGISTER_CONFIRM_AT_RUNS));
        if (redis_reply_u64(r, REGISTER_CONFIRM_AT_REPLACES) == 1)
            reply->replaced = replaced_row(r, q->device);
    }
    store_step_complete(p, 0, &reply->base);
}

static void confirm_by_script(struct store_step *p) {
    const Hawser__Internal__ConfirmRequest *q =
        (const Hawser__Internal__ConfirmRequest *)p->request;
    const struct register_redis *s = register_redis_of(redis_store_of(p));
    struct register_keys keys;
    register_keys_of(&keys, q->product, q->user);
    uint8_t slot[SLOT_BYTES];
    struct register_confirm_args args = {
        .rows = keys.rows,
        .user = q->user,
        .device = q->device,
        .room = row_text(q->room),
        .inc = row_number(q->incarnation),
        .slot = row_slot(slot, q->slot),
        .gen = row_number(q->generation),
        .since = row_number(q->since_ms),
        .address = row_text(q->address),
        .live = {s->live.data, s->live.len},
        .undead = {s->undead.data, s->undead.len},
        .login = row_number(q->login),
        .max = devices_max(q->devices_max),
        .not_after = q->not_after_ms,
    };
    register_confirm_run(redis_store_of(p), &args, on_confirm, p);
}

// What a row is to the session that is confirmed.
enum row_look { ROW_OTHER, ROW_HELD, ROW_TO_SEE /* held, and is to say anew when it was seen */ };

// The next row. now_ms may be some seconds ago.
static enum row_look look_at_row(struct row_reader *r, const Hawser__Internal__ConfirmRequest *q,
                                 uint64_t now_ms) {
    enum { VIEW_OLD_MS = 10000 };
    size_t device_len = strlen(q->device);
    bool is_own = r->end - r->at > (ptrdiff_t)device_len && r->at[0] == device_len &&
                  memcmp(r->at + 1, q->device, device_len) == 0;
    pass_text(r); // device
    is_own = read_number(r, 7) == q->generation && is_own;
    (void)read_number(r, 7); // of its login
    is_own = read_number(r, 7) == q->incarnation && is_own;
    (void)read_slot(r);
    bool is_online = read_number(r, 1) == 1;
    (void)read_number(r, 6); // since when
    uint64_t seen_ms = read_number(r, 6);
    pass_text(r); // room
    pass_text(r); // address
    if (!is_own || !is_online || r->is_bad)
        return ROW_OTHER;
    return seen_ms + SEEN_APART_MS > now_ms + VIEW_OLD_MS ? ROW_HELD : ROW_TO_SEE;
}

static void confirm_held(struct store_step *p) {
    Hawser__Internal__ConfirmReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__confirm_reply__init(reply);
    reply->outcome = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD;
    reply->generation = ((const Hawser__Internal__ConfirmRequest *)p->request)->generation;
    store_step_complete(p, 0, &reply->base);
}

static void on_seen(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    if (r->integer == 1)
        confirm_held(arg);
    else
        confirm_by_script(arg); // it has changed since it was looked at
}

// Every few minutes for each session: so the script is told no more than it needs.
static void row_is_seen(struct store_step *p) {
    const Hawser__Internal__ConfirmRequest *q =
        (const Hawser__Internal__ConfirmRequest *)p->request;
    struct register_keys keys;
    register_keys_of(&keys, q->product, q->user);
    struct register_seen_args args = {keys.rows, q->user, q->device, row_number(q->incarnation),
                                      row_number(q->generation)};
    register_seen_run(redis_store_of(p), &args, on_seen, p);
}

static void on_row_to_confirm(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__ConfirmRequest *q =
        (const Hawser__Internal__ConfirmRequest *)p->request;
    const struct register_redis *s = register_redis_of(redis_store_of(p));
    if (redis_step_failed(p, error, r))
        return;
    struct row_reader rows = {(const uint8_t *)r->str, (const uint8_t *)r->str + r->len, false};
    enum row_look look = ROW_OTHER;
    while (r->str && rows.at < rows.end && !rows.is_bad && look == ROW_OTHER)
        look = look_at_row(&rows, q, s->view_ms);
    if (look == ROW_HELD)
        confirm_held(p);
    else if (look == ROW_TO_SEE)
        row_is_seen(p);
    else
        confirm_by_script(p);
}

// Most rows are the session's, and a look is all that they need: each session is confirmed once a
// minute. What the row says otherwise is the script's, which looks again.
void register_redis_confirm(struct store_step *p, const Hawser__Internal__ConfirmRequest *q) {
    struct register_keys keys;
    if (register_view_is_missing(p))
        return;
    store_step_keep(p, &q->base);
    register_keys_of(&keys, q->product, q->user);
    const char *const word[] = {"HGET", keys.rows, q->user, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){keys.rows, "?s", word},
                    on_row_to_confirm, p);
}

// --- questions

static Hawser__Internal__SessionRow *read_row(const struct register_redis *s,
                                              struct row_reader *r) {
    Hawser__Internal__SessionRow *row = hw_malloc(sizeof(*row));
    hawser__internal__session_row__init(row);
    row->device = read_text(r);
    row->generation = read_number(r, 7);
    (void)read_number(r, 7); // of its login
    row->incarnation = read_number(r, 7);
    row->slot = read_slot(r);
    bool is_online = read_number(r, 1) == 1;
    row->since_ms = read_number(r, 6);
    row->last_seen_ms = read_number(r, 6);
    row->room = read_text(r);
    row->address = read_text(r);
    row->online = is_online && register_view_has(&s->live, row->incarnation);
    row->ended = !is_online;
    if (row->online) // it is seen all the time; the row says so every SEEN_APART_MS
        row->last_seen_ms = s->view_ms;
    return row;
}

static int live_first(const void *a, const void *b) {
    const Hawser__Internal__SessionRow *const *ra = a, *const *rb = b;
    return (int)(*rb)->online - (int)(*ra)->online;
}

static void on_find(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const struct register_redis *s = register_redis_of(redis_store_of(p));
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__FindReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__find_reply__init(reply);
    struct row_reader rows = {(const uint8_t *)r->str, (const uint8_t *)r->str + r->len, false};
    size_t capacity = 0;
    while (r->str && rows.at < rows.end && !rows.is_bad) {
        Hawser__Internal__SessionRow *row = read_row(s, &rows);
        bool is_forgotten = !row->online && row->last_seen_ms + DEVICE_FORGOTTEN_MS < s->view_ms;
        if (rows.is_bad || is_forgotten) {
            hawser__internal__session_row__free_unpacked(row, NULL);
            continue;
        }
        if (reply->n_row == capacity) {
            capacity = capacity ? 2 * capacity : 1;
            reply->row = hw_realloc(reply->row, capacity * sizeof(reply->row[0]));
        }
        reply->row[reply->n_row++] = row;
    }
    if (reply->n_row > 0)
        qsort(reply->row, reply->n_row, sizeof(reply->row[0]), live_first);
    store_step_complete(p, 0, &reply->base);
}

void register_redis_find(struct store_step *p, const Hawser__Internal__FindRequest *q) {
    struct register_keys keys;
    if (register_view_is_missing(p))
        return;
    register_keys_of(&keys, q->product, q->user);
    const char *const word[] = {"HGET", keys.rows, q->user, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){keys.rows, "?s", word}, on_find, p);
}

// Of a run that will not come back.
static void forget_count(struct redis_store *s, uint32_t product, const redisReply *incarnation) {
    char key[REDIS_KEY_BYTES];
    online_key(key, product);
    const char *const word[] = {"HDEL", key, incarnation->str, NULL};
    redis_store_ask(s, &(struct redis_words){key, "i", word}, on_session_counted, s);
}

static void on_online_counts(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const struct register_redis *s = register_redis_of(redis_store_of(p));
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__OnlineReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__online_reply__init(reply);
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        long long n = strtoll(r->element[i + 1]->str, NULL, 10);
        if (n > 0 && register_view_has(&s->live, redis_reply_u64(r, i)))
            reply->sessions += (uint64_t)n;
        else if (register_view_is_over(s, redis_reply_u64(r, i)))
            forget_count(redis_store_of(p),
                         ((const Hawser__Internal__OnlineRequest *)p->request)->product,
                         r->element[i]);
    }
    store_step_complete(p, 0, &reply->base);
}

void register_redis_online(struct store_step *p, const Hawser__Internal__OnlineRequest *q) {
    char key[REDIS_KEY_BYTES];
    if (register_view_is_missing(p))
        return;
    store_step_keep(p, &q->base);
    online_key(key, q->product);
    const char *const word[] = {"HGETALL", key, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){key, "[*ss]", word}, on_online_counts,
                    p);
}
