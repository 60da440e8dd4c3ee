// Sessions in Redis: the steps' arguments and answers.
#include "redis_internal.h"

// --- live sessions of a product, by run: counted beside the rows, and only told of runs that live

static void on_session_counted(void *arg, int error, const redisReply *reply) {
    (void)arg; // a count that is lost is off by one until the run ends
    (void)error;
    (void)reply;
}

static void online_key(char key[KEY_MAX], uint32_t product) {
    snprintf(key, KEY_MAX, "hw:{%u}:on", product);
}

static void count_session(struct redis_store *s, uint32_t product, uint64_t incarnation, int by) {
    char key[KEY_MAX], field[24], change[8];
    const char *const word[] = {"HINCRBY", key, field, change, NULL};
    if (incarnation == 0)
        return;
    online_key(key, product);
    snprintf(field, sizeof(field), "%llu", (unsigned long long)incarnation);
    snprintf(change, sizeof(change), "%d", by);
    redis_store_ask(s, &(struct redis_words){key, "i", word}, on_session_counted, s);
}

// --- rows

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
    row->slot = redis_reply_u64(r, REGISTER_LOGIN_AT_BEFORE_SLOT);
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
    struct redis_step *p = arg;
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
            count_session(p->store, q->product, redis_reply_u64(r, REGISTER_LOGIN_AT_BEFORE_INC),
                          -1);
        count_session(p->store, q->product, q->incarnation, 1);
        if (redis_reply_u64(r, REGISTER_LOGIN_AT_REPLACES) == 1)
            reply->replaced = replaced_row(r, q->device);
        uncount_runs(p->store, q->product, redis_reply_at(r, REGISTER_LOGIN_AT_RUNS));
        take_device_names(reply, redis_reply_at(r, REGISTER_LOGIN_AT_DEVICES));
    } else if (redis_reply_u64(r, REGISTER_LOGIN_AT_GENERATION) == 1) {
        reply->devices_full = true;
        reply->retry_after_ms = DEVICES_RETRY_MS;
    }
    redis_step_complete(p, 0, &reply->base);
}

static uint32_t devices_max(uint32_t given) {
    return given ? given : DEVICES_PER_USER;
}

void register_redis_login(struct redis_step *p, const Hawser__Internal__LoginRequest *q) {
    const struct buf *live = &register_redis_of(p->store)->live;
    struct register_keys keys;
    if (register_view_is_missing(p))
        return;
    redis_step_keep(p, &q->base);
    register_keys_of(&keys, q->product, q->user);
    struct register_login_args args = {
        .rows = keys.rows,
        .takeovers = keys.takeovers,
        .device = q->device,
        .room = q->room,
        .inc = q->incarnation,
        .slot = q->slot,
        .address = q->address,
        .not_after = q->not_after_ms,
        .ago = q->asked_ago_ms,
        .live = {live->data, live->len},
        .max = devices_max(q->devices_max),
    };
    register_login_run(p->store, &args, on_login, p);
}

static void on_takeover(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__TakeoverReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__takeover_reply__init(reply);
    redis_step_complete(arg, 0, &reply->base);
}

void register_redis_takeover(struct redis_step *p, const Hawser__Internal__TakeoverRequest *q) {
    struct register_keys keys;
    register_keys_of(&keys, q->product, q->user);
    struct register_takeover_args args = {keys.rows, keys.takeovers, q->device};
    register_takeover_run(p->store, &args, on_takeover, p);
}

// --- by incarnation and generation

static void on_drop(void *arg, int error, const redisReply *r) {
    struct redis_step *p = arg;
    const Hawser__Internal__DropRequest *q = (const Hawser__Internal__DropRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__DropReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__drop_reply__init(reply);
    reply->dropped = r->integer == 1;
    if (reply->dropped)
        count_session(p->store, q->product, q->incarnation, -1);
    redis_step_complete(p, 0, &reply->base);
}

void register_redis_drop(struct redis_step *p, const Hawser__Internal__DropRequest *q) {
    struct register_keys keys;
    redis_step_keep(p, &q->base);
    register_keys_of(&keys, q->product, q->user);
    struct register_drop_args args = {keys.rows, q->device, q->incarnation, q->generation};
    register_drop_run(p->store, &args, on_drop, p);
}

static void on_confirm(void *arg, int error, const redisReply *r) {
    struct redis_step *p = arg;
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
            count_session(p->store, q->product, before, -1);
            count_session(p->store, q->product, q->incarnation, 1);
        }
        uncount_runs(p->store, q->product, redis_reply_at(r, REGISTER_CONFIRM_AT_RUNS));
        if (redis_reply_u64(r, REGISTER_CONFIRM_AT_REPLACES) == 1)
            reply->replaced = replaced_row(r, q->device);
    }
    redis_step_complete(p, 0, &reply->base);
}

void register_redis_confirm(struct redis_step *p, const Hawser__Internal__ConfirmRequest *q) {
    const struct register_redis *s = register_redis_of(p->store);
    struct register_keys keys;
    if (register_view_is_missing(p))
        return;
    redis_step_keep(p, &q->base);
    register_keys_of(&keys, q->product, q->user);
    struct register_confirm_args args = {
        .rows = keys.rows,
        .device = q->device,
        .room = q->room,
        .inc = q->incarnation,
        .slot = q->slot,
        .gen = q->generation,
        .since = q->since_ms,
        .address = q->address,
        .live = {s->live.data, s->live.len},
        .undead = {s->undead.data, s->undead.len},
        .login = q->login,
        .max = devices_max(q->devices_max),
    };
    register_confirm_run(p->store, &args, on_confirm, p);
}

// --- questions

// The fields are those of scripts/part/rows.lua.
static Hawser__Internal__SessionRow *row_parse(const struct register_redis *s,
                                               const redisReply *device, const redisReply *value) {
    unsigned long long gen, inc, slot, since, seen, window, takeovers;
    unsigned online;
    char room[128] = "", address[128] = "";
    if (sscanf(value->str, "%llu %llu %llu %u %llu %llu %llu %llu %127s %127s", &gen, &inc, &slot,
               &online, &since, &seen, &window, &takeovers, room, address) < 8)
        return NULL;
    Hawser__Internal__SessionRow *row = hw_malloc(sizeof(*row));
    hawser__internal__session_row__init(row);
    row->device = hw_strdup(device->str);
    row->room = hw_strdup(room);
    row->address = hw_strdup(strcmp(address, "-") == 0 ? "" : address);
    row->incarnation = inc;
    row->slot = slot;
    row->generation = gen;
    row->since_ms = since;
    row->last_seen_ms = seen;
    row->online = online == 1 && register_view_has(&s->live, inc);
    return row;
}

static int live_first(const void *a, const void *b) {
    const Hawser__Internal__SessionRow *const *ra = a, *const *rb = b;
    return (int)(*rb)->online - (int)(*ra)->online;
}

static void on_find(void *arg, int error, const redisReply *r) {
    struct redis_step *p = arg;
    const struct register_redis *s = register_redis_of(p->store);
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__FindReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__find_reply__init(reply);
    reply->row = hw_calloc(r->elements / 2 + 1, sizeof(reply->row[0]));
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        Hawser__Internal__SessionRow *row = row_parse(s, r->element[i], r->element[i + 1]);
        bool is_forgotten =
            row && !row->online && row->last_seen_ms + DEVICE_FORGOTTEN_MS < s->view_ms;
        if (is_forgotten)
            hawser__internal__session_row__free_unpacked(row, NULL);
        else if (row)
            reply->row[reply->n_row++] = row;
    }
    if (reply->n_row > 0)
        qsort(reply->row, reply->n_row, sizeof(reply->row[0]), live_first);
    redis_step_complete(p, 0, &reply->base);
}

void register_redis_find(struct redis_step *p, const Hawser__Internal__FindRequest *q) {
    struct register_keys keys;
    if (register_view_is_missing(p))
        return;
    register_keys_of(&keys, q->product, q->user);
    const char *const word[] = {"HGETALL", keys.rows, NULL};
    redis_store_ask(p->store, &(struct redis_words){keys.rows, "[*ss]", word}, on_find, p);
}

// Of a run that will not come back.
static void forget_count(struct redis_store *s, uint32_t product, const redisReply *incarnation) {
    char key[KEY_MAX];
    online_key(key, product);
    const char *const word[] = {"HDEL", key, incarnation->str, NULL};
    redis_store_ask(s, &(struct redis_words){key, "i", word}, on_session_counted, s);
}

static void on_online_counts(void *arg, int error, const redisReply *r) {
    struct redis_step *p = arg;
    const struct register_redis *s = register_redis_of(p->store);
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__OnlineReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__online_reply__init(reply);
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        long long n = strtoll(r->element[i + 1]->str, NULL, 10);
        if (n > 0 && register_view_has(&s->live, redis_reply_u64(r, i)))
            reply->sessions += (uint64_t)n;
        else if (register_view_is_over(s, redis_reply_u64(r, i)))
            forget_count(p->store, ((const Hawser__Internal__OnlineRequest *)p->request)->product,
                         r->element[i]);
    }
    redis_step_complete(p, 0, &reply->base);
}

void register_redis_online(struct redis_step *p, const Hawser__Internal__OnlineRequest *q) {
    char key[KEY_MAX];
    if (register_view_is_missing(p))
        return;
    redis_step_keep(p, &q->base);
    online_key(key, q->product);
    const char *const word[] = {"HGETALL", key, NULL};
    redis_store_ask(p->store, &(struct redis_words){key, "[*ss]", word}, on_online_counts, p);
}
