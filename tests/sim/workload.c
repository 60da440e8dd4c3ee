// Products, pushes with and without Idempotency-Key, repeated as an app server would, and
// the account of what must have arrived.
#include <jansson.h>

#include "buf.h"
#include "run.h"

enum {
    RETRY_US = 300000,
    PUSH_TRIES_MAX = 200,
    PADDING_MAX = 3000,
    HEAVY_MIN = 20000,
    HEAVY_MAX = 60000,
    USERS_AT_ONCE = 5,
    DEVICELESS = 105,
    BURSTS = 4,
    BURST_MESSAGES = 40,
    LATE_US = 5000000,
    SENT_AGAIN_US = 40000000,
    ACKED_US = 20000000
};

// --- products

static void ask_product(void *arg);

struct product_call {
    struct run *run;
    int product;
};

static void on_product(void *arg, int status, const char *body, size_t len) {
    struct product_call *p = arg;
    (void)body;
    (void)len;
    if (status == 201 || status == 200) {
        p->run->product_ready[p->product] = 1;
        free(p);
    } else {
        world_at(&p->run->world, RETRY_US, ask_product, p);
    }
}

static void ask_product(void *arg) {
    struct product_call *p = arg;
    const struct run *r = p->run;
    char path[64], body[128];
    bool is_small = p->product == 1 && r->has_small_inboxes;
    snprintf(path, sizeof(path), "/v1/products/product%d", p->product);
    snprintf(body, sizeof(body),
             "{\"limits\": {\"payload_bytes\": 61440, \"inbox_messages\": %d, \"reject_new\": %s}}",
             is_small ? SMALL_INBOX : 1000, is_small && r->refuses_new ? "true" : "false");
    if (!api_call(p->run, "PUT", path, NULL, body, on_product, p))
        world_at(&p->run->world, RETRY_US, ask_product, p);
}

void workload_prepare(struct run *r) {
    r->has_variety = world_chance(&r->world, 700);
    r->has_small_inboxes = world_chance(&r->world, 400);
    r->refuses_new = world_chance(&r->world, 400);
    for (int i = 0; i < PRODUCTS; i++) {
        struct product_call *p = hw_malloc(sizeof(*p));
        *p = (struct product_call){r, i};
        ask_product(p);
    }
    tokens_prepare(r);
}

// --- pushes

struct push_call {
    struct run *run;
    struct message *message;
    uint64_t asked_us;
};

static void push(void *arg);

// What was refused for another body stands nowhere.
static void check_refused(struct run *r, const struct message *m) {
    for (int i = 0; i < CLIENTS && !m->unknown; i++)
        for (int k = 0; k < r->clients[i].binding_count; k++)
            if (was_handled(&r->clients[i].bindings[k], (int)(m - r->messages)))
                violation(r, "%s was refused, and client%d handled it", m->payload, i);
}

// An append that no saver answered is tried again until its time is over, unless its center ends.
static bool is_given_up(const char *detail) {
    static const int errors[] = {HW_EDEADLINE, HW_ELINK};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const char *text = hw_strerror(errors[i]);
        if (strncmp(detail, text, strlen(text)) == 0)
            return true;
    }
    return false;
}

static void on_pushed(void *arg, int status, const char *body, size_t len) {
    struct push_call *p = arg;
    struct message *m = p->message;
    struct run *r = p->run;
    json_t *answer = json_loadb(body, len, 0, NULL);
    // A center that went away may have stored it; a 503 has not unless it says so.
    bool unknown = status == 0 || json_object_get(answer, "outcome") != NULL ||
                   json_object_get(answer, "title") == NULL;
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    if (detail && strstr(detail, "too late") && r->world.now_us < p->asked_us + LATE_US)
        violation(r, "%s came too late after %llu ms", m->payload,
                  (unsigned long long)(r->world.now_us - p->asked_us) / 1000);
    if (status == 503 && detail && is_given_up(detail) && r->world.now_us < p->asked_us + LATE_US)
        violation(r, "%s was given up after %llu ms", m->payload,
                  (unsigned long long)(r->world.now_us - p->asked_us) / 1000);
    m->is_under_way = false;
    world_note(&r->world, "app", "%s: %d%s", m->payload, status,
               unknown && status != 202 ? " (unknown)" : "");
    if (status == 202) {
        m->accepted_us = r->world.now_us;
        const char *id = json_string_value(json_object_get(answer, "id"));
        snprintf(m->id, sizeof(m->id), "%s", id ? id : "");
        recall_some(r, m);
    } else {
        m->unknown = m->unknown || unknown;
        m->refused = true;
        if (status == 409) // its rival has the key
            check_refused(r, m);
        else if (m->key[0] && ++m->tries < PUSH_TRIES_MAX) { // the same key settles it
            world_at(&r->world, RETRY_US, push, p);
            json_decref(answer);
            m->is_under_way = true;
            return;
        }
    }
    json_decref(answer);
    free(p);
}

static json_t *tag_list(uint8_t tags) {
    json_t *list = json_array();
    char name[8];
    for (int i = 0; i < TAGS; i++)
        if (tags & 1u << i) {
            snprintf(name, sizeof(name), "tag%d", i);
            json_array_append_new(list, json_string(name));
        }
    return list;
}

static json_t *target_list(const struct message *m) {
    json_t *list = json_array();
    char user[16], device[16];
    for (int i = 0; i < 64; i++) {
        if (!(m->targets & UINT64_C(1) << i))
            continue;
        snprintf(user, sizeof(user), "user%d", i % USERS);
        snprintf(device, sizeof(device), "device%d", i);
        json_array_append_new(list, m->aim == AT_USERS
                                        ? json_string(user)
                                        : json_pack("{s:s, s:s}", "user", user, "device", device));
    }
    for (int i = 0; m->is_wide && i < DEVICELESS; i++) {
        snprintf(user, sizeof(user), "nobody%d", i);
        json_array_append_new(list, json_string(user));
    }
    return list;
}

static json_t *to_of(const struct message *m) {
    if (m->aim == AT_ALL)
        return json_pack("{s:b}", "all", true);
    if (m->aim == AT_TAGS)
        return json_pack("{s:{s:o, s:o, s:o}}", "tags", "any", tag_list(m->any), "all",
                         tag_list(m->all), "none", tag_list(m->none));
    json_t *list = target_list(m);
    if (m->aim == AT_USERS && json_array_size(list) == 1) {
        json_t *to = json_pack("{s:O}", "user", json_array_get(list, 0));
        json_decref(list);
        return to;
    }
    return json_pack("{s:o}", m->aim == AT_USERS ? "users" : "devices", list);
}

static struct buf body_of(const struct message *m) {
    struct buf body = BUF_EMPTY;
    json_t *to = to_of(m);
    char *text = json_dumps(to, JSON_COMPACT);
    buf_printf(&body, "{\"to\":%s,\"payload\":\"%s%*s\"", text, m->payload, m->padding, "");
    if (m->ttl_s > 0 || m->is_live)
        buf_printf(&body, ",\"ttl_s\":%d", m->ttl_s);
    if (m->collapse > 0)
        buf_printf(&body, ",\"collapse_key\":\"c%d\"", m->collapse);
    buf_append_str(&body, "}");
    free(text);
    json_decref(to);
    return body;
}

static void push(void *arg) {
    struct push_call *p = arg;
    struct message *m = p->message;
    struct run *r = p->run;
    char path[64];
    struct buf body = body_of(m);
    snprintf(path, sizeof(path), "/v1/products/product%d/messages", m->product);
    m->is_under_way = true;
    p->asked_us = r->world.now_us;
    bool is_asked =
        api_call(r, "POST", path, m->key[0] ? m->key : NULL, buf_cstr(&body), on_pushed, p);
    buf_free(&body);
    if (is_asked)
        return;
    m->is_under_way = false;
    m->refused = true; // no center is there
    if (m->key[0]) {
        m->is_under_way = true;
        world_at(&r->world, RETRY_US, push, p);
    } else {
        free(p);
    }
}

// A user of a product is one that has a device there: the first clients' users are in all.
static bool has_device(const struct run *r, int product, int user) {
    for (int i = 0; i < CLIENTS; i++)
        for (int k = 0; k < r->clients[i].binding_count; k++)
            if (r->clients[i].user == user && r->clients[i].bindings[k].product == product)
                return true;
    return false;
}

static struct message *message_new(struct run *r, int product, int user) { // -1: everyone
    struct message *m = &r->messages[r->message_count];
    *m = (struct message){.product = product,
                          .aim = user < 0 ? AT_ALL : AT_USERS,
                          .targets = user < 0 ? 0 : UINT64_C(1) << user,
                          .pushed_us = r->world.now_us};
    snprintf(m->payload, sizeof(m->payload), "m%d", r->message_count);
    r->message_count++;
    return m;
}

static void push_new(struct run *r, struct message *m) {
    struct push_call *p = hw_malloc(sizeof(*p));
    *p = (struct push_call){.run = r, .message = m};
    push(p);
}

void push_to_all(struct run *r, bool is_live) {
    for (int product = 0; product < PRODUCTS; product++)
        for (int user = -1; user < USERS; user++) {
            if (user >= 0 && !has_device(r, product, user))
                continue;
            struct message *m = message_new(r, product, user);
            m->is_live = is_live;
            push_new(r, m);
        }
    r->wanted_messages = r->message_count;
}

static int any_user(struct run *r, int product) {
    int user;
    do
        user = (int)rng_below(&r->world.rng, USERS);
    while (!has_device(r, product, user));
    return user;
}

static void aim_at_users(struct run *r, struct message *m) {
    for (uint64_t n = world_between(&r->world, 2, USERS_AT_ONCE); n > 0; n--)
        m->targets |= UINT64_C(1) << any_user(r, m->product);
}

static bool is_to_many(const struct message *m) {
    bool has_many = (m->targets & (m->targets - 1)) != 0;
    return m->aim == AT_DEVICES || (m->aim == AT_USERS && (m->is_wide || has_many));
}

static void aim_at_tags(struct run *r, struct message *m) {
    m->aim = AT_TAGS;
    do {
        uint32_t bits = (uint32_t)rng_below(&r->world.rng, 256);
        m->any = (uint8_t)(bits & 28); // of the last three
        m->all = m->none = 0;
        if (world_chance(&r->world, 500))
            m->all = (uint8_t)(1u << bits % 2);
        if (world_chance(&r->world, 300))
            m->none = (uint8_t)(1u << (2 + bits % 3));
    } while (!m->any && !m->all && !m->none);
}

static int wide_messages(const struct run *r, int product) {
    int count = 0;
    for (int i = 0; i < r->message_count; i++)
        count += r->messages[i].is_wide && r->messages[i].product == product;
    return count;
}

static void vary_kind(struct run *r, struct message *m) {
    struct world *w = &r->world;
    if (m->aim == AT_ALL && world_chance(w, 400))
        aim_at_tags(r, m);
    else if (m->aim == AT_USERS && world_chance(w, 80))
        aim_at_users(r, m);
    else if (m->aim == AT_USERS && world_chance(w, 80))
        m->aim = AT_DEVICES; // the user's first, which has the same number and never leaves
    if (world_chance(w, 40))
        m->is_live = true;
    else if (world_chance(w, 60))
        m->ttl_s = (int)world_between(w, 1, 6);
    if (message_stream(m) == HAWSER_INBOX && !m->is_live && world_chance(w, 150))
        m->collapse = 1 + (int)rng_below(&w->rng, COLLAPSE_KEYS);
    bool lasts = !m->is_live && m->ttl_s == 0 && m->collapse == 0;
    m->is_wide = m->aim == AT_USERS && lasts && world_chance(w, 60) &&
                 wide_messages(r, m->product) < SMALL_INBOX;
}

static void vary(struct run *r, struct message *m) {
    struct world *w = &r->world;
    if (r->has_variety)
        vary_kind(r, m);
    if (world_chance(w, 500))
        snprintf(m->key, sizeof(m->key), "key-%ld", (long)(m - r->messages));
    if (world_chance(w, 50))
        m->padding = (int)world_between(w, 100, PADDING_MAX);
}

void push_one(struct run *r, int product, int user) {
    push_new(r, message_new(r, product, user));
    r->wanted_messages = r->message_count;
}

void push_with_key(struct run *r, int collapse) {
    for (int product = 0; product < PRODUCTS; product++)
        for (int user = 0; user < FIRST_TWIN; user++) {
            if (!has_device(r, product, user))
                continue;
            struct message *m = message_new(r, product, user);
            m->collapse = collapse;
            push_new(r, m);
        }
    r->wanted_messages = r->message_count;
}

void push_bursts(struct run *r) {
    for (int i = 0; i < BURSTS; i++) {
        int user = any_user(r, 0);
        for (int n = 0; n < BURST_MESSAGES; n++)
            push_new(r, message_new(r, 0, user));
    }
    r->wanted_messages = r->message_count;
}

// Another body under the key of a push to many, at the same time: one of the two is refused.
static void push_rival(struct run *r, const struct message *of) {
    if (!of->key[0] || !is_to_many(of) || r->message_count == r->wanted_messages ||
        !world_chance(&r->world, 500))
        return;
    struct message *m = message_new(r, of->product, 0);
    m->aim = of->aim;
    m->targets = of->targets;
    m->is_live = of->is_live;
    m->is_wide = of->is_wide;
    m->rival = of;
    memcpy(m->key, of->key, sizeof(m->key));
    push_new(r, m);
}

// To one stream.
static void push_burst(struct run *r, int count, bool is_heavy) {
    struct world *w = &r->world;
    int product = (int)rng_below(&w->rng, PRODUCTS);
    int user = world_chance(w, 250) ? -1 : any_user(r, product);
    for (int i = 0; i < count && r->message_count < r->wanted_messages; i++) {
        struct message *m = message_new(r, product, user);
        vary(r, m);
        if (is_heavy)
            m->padding = (int)world_between(w, HEAVY_MIN, HEAVY_MAX);
        push_new(r, m);
        push_rival(r, m);
    }
}

void workload_burst(struct run *r) {
    bool is_heavy = world_chance(&r->world, 50);
    // Often more than a window, in messages or in bytes.
    push_burst(r, (int)world_between(&r->world, 10, is_heavy ? 20 : 60), is_heavy);
}

static void next_push(void *arg) {
    struct run *r = arg;
    struct world *w = &r->world;
    if (r->message_count == r->wanted_messages)
        return;
    if (world_chance(w, 30))
        workload_burst(r);
    else
        push_burst(r, 1, false);
    world_at(w, world_between(w, 1000, 600000), next_push, r);
}

void workload_start(struct run *r) {
    r->wanted_messages = (int)world_between(&r->world, 150, 350);
    next_push(r);
}

bool workload_is_over(struct run *r) {
    if (r->message_count < r->wanted_messages)
        return false;
    for (int i = 0; i < r->message_count; i++)
        if (r->messages[i].is_under_way)
            return false;
    return recalls_are_over(r);
}

// --- the account

int message_stream(const struct message *m) {
    return m->aim == AT_USERS || m->aim == AT_DEVICES ? HAWSER_INBOX : HAWSER_NEWS;
}

bool message_is_for(const struct message *m, const struct client *c, const struct binding *b) {
    if (m->product != b->product)
        return false;
    switch (m->aim) {
    case AT_USERS:
        return m->targets & UINT64_C(1) << b->user;
    case AT_DEVICES:
        return m->targets & UINT64_C(1) << c->number;
    case AT_TAGS:
        return audience_has_client(m, c, b);
    case AT_ALL:
        break;
    }
    return true;
}

// An installation that comes back with positions of a lost log is told so by a Reset, whenever
// that is.
static bool was_lost(const struct run *r, const struct client *c, const struct binding *b,
                     const struct message *m) {
    int stream = message_stream(m);
    const struct binding *other = c->rival ? &c->rival->bindings[b - c->bindings] : b;
    uint64_t told_us =
        b->told_us[stream] > other->told_us[stream] ? b->told_us[stream] : other->told_us[stream];
    // It may have been stored long before the answer said so.
    bool is_reset = b->reset_us[stream] >= m->pushed_us || other->reset_us[stream] >= m->pushed_us;
    return r->store_lost &&
           (is_reset || (m->accepted_us <= r->lost_us && told_us >= r->lost_since_us));
}

static bool user_has_it(const struct run *r, int user, int message) {
    for (int i = 0; i < CLIENTS; i++)
        for (int k = 0; k < r->clients[i].binding_count && r->clients[i].user == user; k++)
            if (was_handled(&r->clients[i].bindings[k], message))
                return true;
    return false;
}

// Of several users, those whose inbox is full do not get it, on any device.
static bool was_rejected(const struct run *r, const struct binding *b, const struct message *m) {
    return m->product == 1 && r->has_small_inboxes && r->refuses_new && m->aim == AT_USERS &&
           is_to_many(m) && !user_has_it(r, b->user, (int)(m - r->messages));
}

// The oldest goes first: as many came after it as an inbox holds. But what another device of the
// user has handled goes before all that none has: then older ones may be what the inbox is full of.
static bool had_to_go(const struct run *r, const struct binding *b, const struct message *m) {
    bool went_first = user_has_it(r, b->user, (int)(m - r->messages));
    int after = 0;
    for (int n = 0; n < r->message_count; n++) {
        const struct message *other = &r->messages[n];
        after += other != m && !other->is_live && other->product == m->product &&
                 message_stream(other) == HAWSER_INBOX &&
                 (other->targets & UINT64_C(1) << b->user) &&
                 (went_first || other->accepted_us == 0 || other->accepted_us >= m->pushed_us);
    }
    return after >= SMALL_INBOX;
}

// What a device has handled when nothing was wrong is acknowledged some seconds later, and has met
// its end: no later message takes its place.
static bool had_its_end(const struct run *r, const struct message *m, const struct message *by) {
    bool is_calm = m->handled_us >= r->fire_ends_us && m->handled_us >= r->calm_us;
    return m->handled_us != 0 && is_calm && (m->targets & (m->targets - 1)) == 0 &&
           by->pushed_us > m->handled_us + ACKED_US;
}

static bool was_replaced(const struct run *r, const struct binding *b, const struct message *m) {
    for (int n = 0; n < r->message_count && m->collapse > 0 && b->collapsed_us >= m->pushed_us;
         n++) {
        const struct message *by = &r->messages[n];
        if (by != m && by->collapse == m->collapse && by->product == m->product &&
            (by->targets & UINT64_C(1) << b->user) &&
            (by->accepted_us == 0 || by->accepted_us >= m->pushed_us) && !had_its_end(r, m, by))
            return true;
    }
    return false;
}

static bool was_told(const struct run *r, const struct binding *b, const struct message *m) {
    int stream = message_stream(m);
    return (m->ttl_s > 0 && b->expired_us[stream] >= m->pushed_us) ||
           (stream == HAWSER_INBOX && b->overflowed_us >= m->pushed_us && had_to_go(r, b, m)) ||
           (m->recall_asked_us != 0 && b->recalled_us[stream] >= m->pushed_us) ||
           was_replaced(r, b, m);
}

bool message_is_excused(const struct run *r, const struct client *c, const struct binding *b,
                        const struct message *m) {
    const struct binding *other = c->rival ? &c->rival->bindings[b - c->bindings] : b;
    return audience_is_unsure(m, r, b) || was_rejected(r, b, m) || was_told(r, b, m) ||
           was_told(r, other, m) || was_lost(r, c, b, m) ||
           parking_excuses(c, (int)(m - r->messages));
}

// What an application refused comes again, and newer broadcasts behind it. One that is not for the
// device's new tags does not, and the SDK cannot know: of what the room sends, only a repeat of
// something newer proves that it has begun anew. A Synced proves nothing, for a room may send one
// at any time. So the next broadcast is handled only when it comes for the second time, after the
// Ping for what was not acknowledged for 30 s.
static bool waits_for_refused(const struct run *r, const struct binding *b,
                              const struct message *m) {
    return message_stream(m) == HAWSER_NEWS && b->refused_us != 0 && b->tagged_us > b->refused_us &&
           r->world.now_us < m->accepted_us + SENT_AGAIN_US;
}

void wait_for_refused(struct run *r) {
    bool any = false;
    for (int i = 0; i < DEVICES; i++)
        for (int k = 0; k < r->clients[i].binding_count; k++) {
            const struct binding *b = &r->clients[i].bindings[k];
            any = any || (b->refused_us != 0 && b->tagged_us > b->refused_us);
        }
    if (any)
        world_run(&r->world, r->world.now_us + SENT_AGAIN_US);
}

bool everything_arrived(struct run *r, bool say) {
    bool all = true;
    for (int i = 0; i < DEVICES; i++) {
        const struct client *c = &r->clients[i];
        for (int k = 0; k < c->binding_count; k++)
            for (int n = 0; n < r->message_count; n++) {
                const struct binding *b = &c->bindings[k];
                const struct message *m = &r->messages[n];
                if (m->accepted_us == 0 || m->is_live || c->has_left || was_handled(b, n) ||
                    !message_is_for(m, c, b) || message_is_excused(r, c, b, m) ||
                    waits_for_refused(r, b, m))
                    continue;
                if (!say)
                    return false;
                if (all)
                    inspect_client(c);
                all = false;
                violation(r, "client%d never got %s in %s of product%d", i, m->payload,
                          hawser_stream_name((enum hawser_stream)message_stream(m)), m->product);
            }
    }
    return all;
}

static bool someone_has_it(const struct run *r, const struct message *m) {
    for (int user = 0; user < USERS; user++)
        if (user_has_it(r, user, (int)(m - r->messages)))
            return true;
    return false;
}

void check_rivals(struct run *r) {
    for (int n = 0; n < r->message_count && !r->store_lost; n++) {
        const struct message *m = &r->messages[n];
        if (m->rival && someone_has_it(r, m) && someone_has_it(r, m->rival))
            violation(r, "%s and %s were both stored under one key", m->payload, m->rival->payload);
    }
}

bool waits_for_nobody(const struct run *r, uint64_t pending) {
    uint64_t least = 0, most = 0;
    for (int i = 0; i < r->message_count; i++) {
        const struct message *m = &r->messages[i];
        least += m->is_wide && m->accepted_us != 0 ? DEVICELESS : 0;
        most += m->is_wide && (m->accepted_us != 0 || m->unknown) ? DEVICELESS : 0;
    }
    return pending >= least && pending <= most && pending % DEVICELESS == 0;
}

void count_live(const struct run *r, int from, int *ret_arrived, int *ret_wanted) {
    *ret_arrived = *ret_wanted = 0;
    for (int i = 0; i < DEVICES; i++) {
        const struct client *c = &r->clients[i];
        for (int k = 0; k < c->binding_count && !c->has_left; k++)
            for (int n = from; n < r->message_count; n++) {
                bool is_for =
                    r->messages[n].is_live && message_is_for(&r->messages[n], c, &c->bindings[k]);
                *ret_wanted += is_for;
                *ret_arrived += is_for && was_handled(&c->bindings[k], n);
            }
    }
}
