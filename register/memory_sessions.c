// Rows of sessions: one per (product, user, device), changed only by the incarnation and generation
// that they hold. A row of a run that is no longer in the directory is void.
#include "close_codes.h"
#include "memory_internal.h"

enum { USER_KEY_BYTES = 128 };

// --- users and rows

static unsigned user_key(const struct register_memory *m, uint32_t product, const char *user,
                         char key[USER_KEY_BYTES], size_t *ret_len) {
    size_t len = strnlen(user, USER_KEY_BYTES - sizeof(product));
    memcpy(key, &product, sizeof(product));
    memcpy(key + sizeof(product), user, len);
    *ret_len = sizeof(product) + len;
    return (unsigned)siphash(m->base.hash_key, key, *ret_len);
}

static struct user *user_find(struct register_memory *m, uint32_t product, const char *name) {
    char key[USER_KEY_BYTES];
    size_t len;
    struct user *u = NULL;
    unsigned hash = user_key(m, product, name, key, &len);
    HASH_FIND_BYHASHVALUE(hh, m->users, key, len, hash, u);
    return u;
}

static struct user *user_get(struct register_memory *m, uint32_t product, const char *name) {
    char key[USER_KEY_BYTES];
    size_t len;
    struct user *u = user_find(m, product, name);
    if (u)
        return u;
    unsigned hash = user_key(m, product, name, key, &len);
    u = hw_calloc(1, sizeof(*u) + len);
    memcpy(u->key, key, len);
    u->key_len = len;
    u->product = product;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->users, u->key, u->key_len, hash, u);
    return u;
}

static void row_free(struct row *r) {
    free(r->device);
    free(r->room);
    free(r->address);
    free(r);
}

static struct row *row_find(const struct user *u, const char *device) {
    struct row *r = u ? u->rows : NULL;
    while (r && strcmp(r->device, device) != 0)
        r = r->next;
    return r;
}

static bool row_is_live(const struct register_memory *m, const struct row *r) {
    return r->online && register_memory_is_live(m, r->incarnation);
}

static struct row *row_new(struct user *u, const char *device) {
    struct row *r = hw_calloc(1, sizeof(*r));
    r->device = hw_strdup(device);
    r->room = hw_strdup("");
    r->address = hw_strdup("");
    r->next = u->rows;
    u->rows = r;
    return r;
}

static void row_remove(struct user *u, struct row *r) {
    struct row **at = &u->rows;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    row_free(r);
}

static void set_text(char **at, const char *text) {
    free(*at);
    *at = hw_strdup(text);
}

static Hawser__Internal__SessionRow *row_message(const struct register_memory *m,
                                                 const struct row *r) {
    Hawser__Internal__SessionRow *out = hw_malloc(sizeof(*out));
    hawser__internal__session_row__init(out);
    out->device = hw_strdup(r->device);
    out->room = hw_strdup(r->room);
    out->incarnation = r->incarnation;
    out->slot = r->slot;
    out->generation = r->generation;
    out->since_ms = r->since_ms;
    out->address = hw_strdup(r->address);
    out->online = row_is_live(m, r);
    out->ended = !r->online;
    out->last_seen_ms = out->online ? memory_store_now_ms(&m->base) : r->last_seen_ms;
    return out;
}

// --- places: as many rows as the user may have devices

static bool is_forgotten(const struct register_memory *m, const struct row *r) {
    return !row_is_live(m, r) &&
           r->last_seen_ms + DEVICE_FORGOTTEN_MS < memory_store_now_ms(&m->base);
}

// Of those that are not live, but for that one.
static struct row *unseen_longest(const struct register_memory *m, const struct user *u,
                                  const struct row *but) {
    struct row *oldest = NULL;
    for (struct row *r = u->rows; r; r = r->next) {
        if (r == but || row_is_live(m, r))
            continue;
        if (!oldest || r->last_seen_ms < oldest->last_seen_ms ||
            (r->last_seen_ms == oldest->last_seen_ms && strcmp(r->device, oldest->device) < 0))
            oldest = r;
    }
    return oldest;
}

static uint32_t places(uint32_t devices_max) {
    return devices_max ? devices_max : DEVICES_PER_USER;
}

// Whether there can be one more row: not where all are online, and as many as may be.
static bool has_row_place(const struct register_memory *m, const struct user *u,
                          uint32_t devices_max) {
    uint32_t live = 0;
    for (const struct row *r = u->rows; r; r = r->next)
        live += row_is_live(m, r) ? 1 : 0;
    return live < places(devices_max);
}

static uint32_t rows_beside(const struct user *u, const struct row *own) {
    uint32_t count = 0;
    for (const struct row *r = u->rows; r; r = r->next)
        count += r != own;
    return count;
}

// Beside the others: for a row that is there, or for one more (NULL).
static void make_row_place(const struct register_memory *m, struct user *u, const struct row *own,
                           uint32_t devices_max) {
    uint32_t count = rows_beside(u, own);
    for (struct row *old; (old = unseen_longest(m, u, own)) != NULL; count--) {
        if (count < places(devices_max) && !is_forgotten(m, old))
            break;
        row_remove(u, old);
    }
}

// --- login

static void name_devices(const struct user *u, Hawser__Internal__LoginReply *reply) {
    size_t count = 0;
    for (const struct row *r = u->rows; r; r = r->next)
        count++;
    reply->device = hw_calloc(count, sizeof(reply->device[0]));
    for (const struct row *r = u->rows; r; r = r->next)
        reply->device[reply->n_device++] = hw_strdup(r->device);
}

// Which of the two logins was asked for later nobody knows: who is still there asks again.
static bool may_be_older(const Hawser__Internal__LoginRequest *l, const struct row *r,
                         uint64_t now) {
    return l->asked_ago_ms != 0 && r && r->online && r->login + l->asked_ago_ms >= now;
}

static bool refuse_login(const struct row *r, bool replaces, uint64_t now,
                         Hawser__Internal__LoginReply *reply) {
    uint64_t oldest = r ? r->takeovers_ms[0] : 0;
    if (!r) {
        reply->refused = CLOSE_RATE_LIMITED;
        reply->devices_full = true;
        reply->retry_after_ms = DEVICES_RETRY_MS;
    } else if (replaces && oldest <= now && now - oldest < TAKEOVER_WINDOW_MS) {
        reply->refused = CLOSE_RATE_LIMITED;
        reply->retry_after_ms = (uint32_t)(oldest + TAKEOVER_WINDOW_MS - now);
    }
    return reply->refused != 0;
}

static bool is_too_late(const struct register_memory *m, uint64_t not_after_ms) {
    return not_after_ms != 0 && memory_store_now_ms(&m->base) > not_after_ms;
}

Hawser__Internal__LoginReply *register_memory_login(struct register_memory *m,
                                                    const Hawser__Internal__LoginRequest *l) {
    Hawser__Internal__LoginReply *reply = hw_malloc(sizeof(*reply));
    uint64_t now = memory_store_now_ms(&m->base);
    hawser__internal__login_reply__init(reply);
    if (is_too_late(m, l->not_after_ms)) {
        reply->refused = CLOSE_BUSY;
        return reply;
    }
    struct user *u = user_get(m, l->product, l->user);
    struct row *r = row_find(u, l->device);
    if (may_be_older(l, r, now)) {
        reply->refused = CLOSE_BUSY;
        return reply;
    }
    bool is_new = !r;
    if (is_new && has_row_place(m, u, l->devices_max)) {
        make_row_place(m, u, NULL, l->devices_max);
        r = row_new(u, l->device);
    }
    bool replaces = r && row_is_live(m, r);
    if (refuse_login(r, replaces, now, reply))
        return reply;
    if (replaces)
        reply->replaced = row_message(m, r);
    if (is_new)
        name_devices(u, reply);
    else if (rows_beside(u, r) >= places(l->devices_max)) // some were confirmed beyond the number
        make_row_place(m, u, r, l->devices_max);
    set_text(&r->room, l->room);
    set_text(&r->address, l->address);
    r->incarnation = l->incarnation;
    r->slot = l->slot;
    r->generation = r->login = r->generation + 1 > now ? r->generation + 1 : now;
    r->since_ms = r->last_seen_ms = now;
    r->online = true;
    reply->generation = r->generation;
    return reply;
}

Hawser__Internal__TakeoverReply *
register_memory_takeover(struct register_memory *m, const Hawser__Internal__TakeoverRequest *t) {
    Hawser__Internal__TakeoverReply *reply = hw_malloc(sizeof(*reply));
    struct row *r = row_find(user_find(m, t->product, t->user), t->device);
    hawser__internal__takeover_reply__init(reply);
    if (!r)
        return reply;
    memmove(r->takeovers_ms, r->takeovers_ms + 1,
            (TAKEOVERS_PER_MINUTE - 1) * sizeof(r->takeovers_ms[0]));
    r->takeovers_ms[TAKEOVERS_PER_MINUTE - 1] = memory_store_now_ms(&m->base);
    return reply;
}

// --- by incarnation and generation

Hawser__Internal__DropReply *register_memory_drop(struct register_memory *m,
                                                  const Hawser__Internal__DropRequest *d) {
    Hawser__Internal__DropReply *reply = hw_malloc(sizeof(*reply));
    struct row *r = row_find(user_find(m, d->product, d->user), d->device);
    hawser__internal__drop_reply__init(reply);
    if (r && r->online && r->incarnation == d->incarnation && r->generation == d->generation) {
        r->online = false;
        r->last_seen_ms = memory_store_now_ms(&m->base);
        reply->dropped = true;
    }
    return reply;
}

// Whether the row may stay as it is: then this is the answer.
static bool confirm_as_it_is(struct register_memory *m, struct row *r,
                             const Hawser__Internal__ConfirmRequest *c,
                             Hawser__Internal__ConfirmReply *reply) {
    uint64_t login = c->login ? c->login : c->generation;
    bool is_own = r->incarnation == c->incarnation && r->slot == c->slot;
    bool is_below = r->generation > c->generation && r->online;
    reply->generation = r->generation;
    if (is_below && !is_own && r->login >= login &&
        !register_memory_is_gone_for_good(m, r->incarnation)) {
        reply->outcome = row_is_live(m, r) ? HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED
                                           : HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED;
        return true;
    }
    if (is_below && is_own) { // its answer was lost
        reply->outcome = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN;
        return true;
    }
    if (r->generation != c->generation || r->incarnation != c->incarnation)
        return false;
    // Offline under the same generation: its room dropped it, and this question was held up.
    if (r->online)
        r->last_seen_ms = memory_store_now_ms(&m->base);
    reply->outcome = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD;
    return true;
}

static void confirm_anew(struct register_memory *m, struct row *r,
                         const Hawser__Internal__ConfirmRequest *c,
                         Hawser__Internal__ConfirmReply *reply) {
    bool is_own = r->incarnation == c->incarnation && r->slot == c->slot;
    if (!is_own && row_is_live(m, r))
        reply->replaced = row_message(m, r);
    set_text(&r->room, c->room);
    set_text(&r->address, c->address);
    r->incarnation = c->incarnation;
    r->slot = c->slot;
    r->generation = r->generation >= c->generation ? r->generation + 1 : c->generation;
    r->login = c->login ? c->login : c->generation;
    r->since_ms = c->since_ms;
    r->last_seen_ms = memory_store_now_ms(&m->base);
    r->online = true;
    reply->outcome = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN;
    reply->generation = r->generation;
}

Hawser__Internal__ConfirmReply *register_memory_confirm(struct register_memory *m,
                                                        const Hawser__Internal__ConfirmRequest *c) {
    Hawser__Internal__ConfirmReply *reply = hw_malloc(sizeof(*reply));
    struct row *r = row_find(user_find(m, c->product, c->user), c->device);
    hawser__internal__confirm_reply__init(reply);
    if (r && confirm_as_it_is(m, r, c, reply))
        return reply;
    if (is_too_late(m, c->not_after_ms)) {
        reply->outcome = HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED;
        return reply;
    }
    if (!r) {
        struct user *u = user_get(m, c->product, c->user);
        make_row_place(m, u, NULL, c->devices_max); // who lives has its place
        r = row_new(u, c->device);
    }
    confirm_anew(m, r, c, reply);
    return reply;
}

// --- questions

Hawser__Internal__FindReply *register_memory_find(struct register_memory *m,
                                                  const Hawser__Internal__FindRequest *f) {
    Hawser__Internal__FindReply *reply = hw_malloc(sizeof(*reply));
    const struct user *u = user_find(m, f->product, f->user);
    size_t count = 0;
    hawser__internal__find_reply__init(reply);
    for (const struct row *r = u ? u->rows : NULL; r; r = r->next)
        count++;
    reply->row = hw_calloc(count + 1, sizeof(reply->row[0]));
    for (int live = 1; live >= 0; live--)
        for (const struct row *r = u ? u->rows : NULL; r; r = r->next)
            if (row_is_live(m, r) == (live == 1) && !is_forgotten(m, r))
                reply->row[reply->n_row++] = row_message(m, r);
    return reply;
}

// Counted when asked: the memory store is for trials, where that is cheap enough.
Hawser__Internal__OnlineReply *register_memory_online(struct register_memory *m,
                                                      const Hawser__Internal__OnlineRequest *o) {
    Hawser__Internal__OnlineReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__online_reply__init(reply);
    for (const struct user *u = m->users; u; u = u->hh.next)
        for (const struct row *r = u->rows; r && u->product == o->product; r = r->next)
            reply->sessions += row_is_live(m, r) ? 1 : 0;
    return reply;
}

void register_memory_sessions_free(struct register_memory *m) {
    struct user *u, *next;
    HASH_ITER(hh, m->users, u, next) {
        HASH_DEL(m->users, u);
        while (u->rows) {
            struct row *r = u->rows;
            u->rows = r->next;
            row_free(r);
        }
        free(u);
    }
}
