// Sessions in Redis: the steps' arguments and answers.
#include "redis_internal.h"

// --- live sessions of a product, by run: counted beside the rows, and only told of runs that live

static void on_counted(void *arg, int error, const redisReply *reply) {
    (void)arg; // a count that is lost is off by one until the run ends
    (void)error;
    (void)reply;
}

static void count(struct redis_store *s, uint32_t product, uint64_t incarnation, int by) {
    char key[48], field[24], change[8];
    const char *argv[] = {"HINCRBY", key, field, change};
    size_t len[4];
    if (incarnation == 0)
        return;
    snprintf(key, sizeof(key), "hw:{%u}:on", product);
    snprintf(field, sizeof(field), "%llu", (unsigned long long)incarnation);
    snprintf(change, sizeof(change), "%d", by);
    for (int i = 0; i < 4; i++)
        len[i] = strlen(argv[i]);
    redis_command(s->conn, "i", 4, argv, len, on_counted, s);
}

// --- rows

static char *text_at(const redisReply *r, size_t i) {
    const redisReply *e = register_reply_at(r, i);
    return hw_strdup(e && e->str ? e->str : "");
}

// --- login

static Hawser__Internal__SessionRow *replaced_row(const redisReply *r, const char *device) {
    Hawser__Internal__SessionRow *row = hw_malloc(sizeof(*row));
    hawser__internal__session_row__init(row);
    row->device = hw_strdup(device);
    row->online = true;
    row->incarnation = register_reply_u64(r, 5);
    row->slot = register_reply_u64(r, 6);
    row->generation = register_reply_u64(r, 7);
    row->room = text_at(r, 8);
    row->address = text_at(r, 9);
    row->since_ms = register_reply_u64(r, 10);
    return row;
}

static void uncount(struct redis_store *s, uint32_t product, const redisReply *runs) {
    for (size_t i = 0; runs && i < runs->elements; i++)
        count(s, product, register_reply_u64(runs, i), -1);
}

static void take_devices(Hawser__Internal__LoginReply *reply, const redisReply *names) {
    size_t n = names ? names->elements : 0;
    reply->device = n ? hw_calloc(n, sizeof(reply->device[0])) : NULL;
    for (size_t i = 0; i < n; i++)
        reply->device[reply->n_device++] = text_at(names, i);
}

static void on_login(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    const Hawser__Internal__LoginRequest *q = (const Hawser__Internal__LoginRequest *)p->request;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__LoginReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__login_reply__init(reply);
    reply->refused = (uint32_t)register_reply_u64(r, 0);
    reply->retry_after_ms = (uint32_t)register_reply_u64(r, 1);
    if (reply->refused == 0) {
        reply->generation = register_reply_u64(r, 2);
        if (register_reply_u64(r, 3) == 1)
            count(p->store, q->product, register_reply_u64(r, 5), -1);
        count(p->store, q->product, q->incarnation, 1);
        if (register_reply_u64(r, 4) == 1)
            reply->replaced = replaced_row(r, q->device);
        uncount(p->store, q->product, register_reply_at(r, 11));
        take_devices(reply, register_reply_at(r, 12));
    } else if (register_reply_u64(r, 2) == 1) {
        reply->devices_full = true;
        reply->retry_after_ms = DEVICES_RETRY_MS;
    }
    register_step_complete(p, 0, &reply->base);
}

static uint32_t devices_max(uint32_t given) {
    return given ? given : DEVICES_PER_USER;
}

void register_redis_login(struct step *p) {
    const Hawser__Internal__LoginRequest *q = (const Hawser__Internal__LoginRequest *)p->request;
    struct redis_args a;
    register_args_user(&a, q->product, q->user);
    register_args_takeovers(&a, q->product, q->user);
    register_arg_text(&a, q->device);
    register_arg_text(&a, q->room);
    register_arg_u64(&a, q->incarnation);
    register_arg_u64(&a, q->slot);
    register_arg_text(&a, q->address);
    register_arg_u64(&a, q->not_after_ms);
    register_arg_bytes(&a, p->store->live.data, p->store->live.len);
    register_arg_u64(&a, devices_max(q->devices_max));
    register_script_send(p->store, SCRIPT_LOGIN, &a, on_login, p);
}

static void on_takeover(void *arg, int error, const redisReply *r) {
    Hawser__Internal__TakeoverReply *reply = hw_malloc(sizeof(*reply));
    (void)r;
    hawser__internal__takeover_reply__init(reply);
    register_step_complete(arg, error, &reply->base);
}

void register_redis_takeover(struct step *p) {
    const Hawser__Internal__TakeoverRequest *q =
        (const Hawser__Internal__TakeoverRequest *)p->request;
    struct redis_args a;
    register_args_user(&a, q->product, q->user);
    register_args_takeovers(&a, q->product, q->user);
    register_arg_text(&a, q->device);
    register_script_send(p->store, SCRIPT_TAKEOVER, &a, on_takeover, p);
}

// --- by incarnation and generation

static void on_drop(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    const Hawser__Internal__DropRequest *q = (const Hawser__Internal__DropRequest *)p->request;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__DropReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__drop_reply__init(reply);
    reply->dropped = r->integer == 1;
    if (reply->dropped)
        count(p->store, q->product, q->incarnation, -1);
    register_step_complete(p, 0, &reply->base);
}

void register_redis_drop(struct step *p) {
    const Hawser__Internal__DropRequest *q = (const Hawser__Internal__DropRequest *)p->request;
    struct redis_args a;
    register_args_user(&a, q->product, q->user);
    register_arg_text(&a, q->device);
    register_arg_u64(&a, q->incarnation);
    register_arg_u64(&a, q->generation);
    register_script_send(p->store, SCRIPT_DROP, &a, on_drop, p);
}

static void on_confirm(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    const Hawser__Internal__ConfirmRequest *q =
        (const Hawser__Internal__ConfirmRequest *)p->request;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__ConfirmReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__confirm_reply__init(reply);
    reply->outcome = (Hawser__Internal__Confirmed)register_reply_u64(r, 0);
    reply->generation = register_reply_u64(r, 1);
    if (reply->outcome == HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN) {
        uint64_t before = register_reply_u64(r, 3) == 1 ? register_reply_u64(r, 5) : 0;
        if (before != q->incarnation) {
            count(p->store, q->product, before, -1);
            count(p->store, q->product, q->incarnation, 1);
        }
        uncount(p->store, q->product, register_reply_at(r, 11));
        if (register_reply_u64(r, 4) == 1)
            reply->replaced = replaced_row(r, q->device);
    }
    register_step_complete(p, 0, &reply->base);
}

void register_redis_confirm(struct step *p) {
    const Hawser__Internal__ConfirmRequest *q =
        (const Hawser__Internal__ConfirmRequest *)p->request;
    struct redis_args a;
    register_args_user(&a, q->product, q->user);
    register_arg_text(&a, q->device);
    register_arg_text(&a, q->room);
    register_arg_u64(&a, q->incarnation);
    register_arg_u64(&a, q->slot);
    register_arg_u64(&a, q->generation);
    register_arg_u64(&a, q->since_ms);
    register_arg_text(&a, q->address);
    register_arg_bytes(&a, p->store->live.data, p->store->live.len);
    register_arg_bytes(&a, p->store->undead.data, p->store->undead.len);
    register_arg_u64(&a, q->login);
    register_arg_u64(&a, devices_max(q->devices_max));
    register_script_send(p->store, SCRIPT_CONFIRM, &a, on_confirm, p);
}

// --- questions

// The fields are those of scripts_sessions.c.
static Hawser__Internal__SessionRow *row_parse(const struct redis_store *s,
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
    struct step *p = arg;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__FindReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__find_reply__init(reply);
    reply->row = hw_calloc(r->elements / 2 + 1, sizeof(reply->row[0]));
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        Hawser__Internal__SessionRow *row = row_parse(p->store, r->element[i], r->element[i + 1]);
        bool is_forgotten =
            row && !row->online && row->last_seen_ms + DEVICE_FORGOTTEN_MS < p->store->view_ms;
        if (is_forgotten)
            hawser__internal__session_row__free_unpacked(row, NULL);
        else if (row)
            reply->row[reply->n_row++] = row;
    }
    if (reply->n_row > 0)
        qsort(reply->row, reply->n_row, sizeof(reply->row[0]), live_first);
    register_step_complete(p, 0, &reply->base);
}

void register_redis_find(struct step *p) {
    const Hawser__Internal__FindRequest *q = (const Hawser__Internal__FindRequest *)p->request;
    struct redis_args a;
    register_args_user(&a, q->product, q->user);
    const char *argv[] = {"HGETALL", a.key};
    const size_t len[] = {7, strlen(a.key)};
    redis_command(p->store->conn, "[*ss]", 2, argv, len, on_find, p);
}

// Of a run that will not come back.
static void forget_count(struct redis_store *s, uint32_t product, const redisReply *incarnation) {
    char key[48];
    snprintf(key, sizeof(key), "hw:{%u}:on", product);
    const char *argv[] = {"HDEL", key, incarnation->str};
    const size_t len[] = {4, strlen(key), incarnation->len};
    redis_command(s->conn, "i", 3, argv, len, on_counted, s);
}

static void on_online(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__OnlineReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__online_reply__init(reply);
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        long long n = strtoll(r->element[i + 1]->str, NULL, 10);
        if (n > 0 && register_view_has(&p->store->live, register_reply_u64(r, i)))
            reply->sessions += (uint64_t)n;
        else if (register_view_is_over(p->store, register_reply_u64(r, i)))
            forget_count(p->store, ((const Hawser__Internal__OnlineRequest *)p->request)->product,
                         r->element[i]);
    }
    register_step_complete(p, 0, &reply->base);
}

void register_redis_online(struct step *p) {
    const Hawser__Internal__OnlineRequest *q = (const Hawser__Internal__OnlineRequest *)p->request;
    char key[48];
    snprintf(key, sizeof(key), "hw:{%u}:on", q->product);
    const char *argv[] = {"HGETALL", key};
    const size_t len[] = {7, strlen(key)};
    redis_command(p->store->conn, "[*ss]", 2, argv, len, on_online, p);
}
