// Products, tokens, pushes with and without Idempotency-Key, repeated as an app server would, and
// the account of what must have arrived.
#include <jansson.h>

#include "buf.h"
#include "run.h"

enum { RETRY_US = 300000, PUSH_TRIES_MAX = 200, PADDING_MAX = 3000, LATE_US = 5000000 };

// --- products and tokens

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
    char path[64];
    snprintf(path, sizeof(path), "/v1/products/product%d", p->product);
    if (!api_call(p->run, "PUT", path, NULL, "{}", on_product, p))
        world_at(&p->run->world, RETRY_US, ask_product, p);
}

static void ask_token(void *arg);

struct token_call {
    struct client *client;
    int product;
};

static void on_token(void *arg, int status, const char *body, size_t len) {
    struct token_call *t = arg;
    json_t *answer = status == 200 ? json_loadb(body, len, 0, NULL) : NULL;
    const char *token = json_string_value(json_object_get(answer, "token"));
    if (token) {
        t->client->tokens[t->product] = hw_strdup(token);
        t->client->run->tokens_left--;
        free(t);
    } else {
        world_at(&t->client->run->world, RETRY_US, ask_token, t);
    }
    json_decref(answer);
}

static void ask_token(void *arg) {
    struct token_call *t = arg;
    struct run *r = t->client->run;
    char path[64], body[64];
    snprintf(path, sizeof(path), "/v1/products/product%d/tokens", t->product);
    snprintf(body, sizeof(body), "{\"user\": \"user%d\"}", t->client->user);
    if (!r->product_ready[t->product] || !api_call(r, "POST", path, NULL, body, on_token, t))
        world_at(&r->world, RETRY_US, ask_token, t);
}

void workload_prepare(struct run *r) {
    for (int i = 0; i < PRODUCTS; i++) {
        struct product_call *p = hw_malloc(sizeof(*p));
        *p = (struct product_call){r, i};
        ask_product(p);
    }
    for (int i = 0; i < CLIENTS; i++)
        for (int k = 0; k < r->clients[i].binding_count; k++) {
            struct token_call *t = hw_malloc(sizeof(*t));
            *t = (struct token_call){&r->clients[i], r->clients[i].bindings[k].product};
            r->tokens_left++;
            ask_token(t);
        }
}

// --- pushes

struct push_call {
    struct run *run;
    struct message *message;
    uint64_t asked_us;
};

static void push(void *arg);

static void on_pushed(void *arg, int status, const char *body, size_t len) {
    struct push_call *p = arg;
    struct message *m = p->message;
    struct run *r = p->run;
    json_t *answer = json_loadb(body, len, 0, NULL);
    // A center that went away may have stored it; a 503 has not unless it says so.
    bool unknown = status == 0 || json_object_get(answer, "outcome") != NULL ||
                   json_object_get(answer, "title") == NULL;
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    if (status == 503 && detail && strcmp(detail, "this center is ending") == 0)
        unknown = true; // what a killed one answers here, nobody hears
    if (detail && strstr(detail, "too late") && r->world.now_us < p->asked_us + LATE_US)
        violation(r, "%s came too late after %llu ms", m->payload,
                  (unsigned long long)(r->world.now_us - p->asked_us) / 1000);
    if (status == 503 && detail && strncmp(detail, "the store:", 10) == 0 &&
        !strstr(detail, "is ending") && r->world.now_us < p->asked_us + LATE_US)
        violation(r, "%s was given up after %llu ms", m->payload,
                  (unsigned long long)(r->world.now_us - p->asked_us) / 1000);
    m->is_under_way = false;
    world_note(&r->world, "app", "%s: %d%s", m->payload, status,
               unknown && status != 202 ? " (unknown)" : "");
    if (status == 202) {
        m->accepted_us = r->world.now_us;
    } else {
        m->unknown = m->unknown || unknown;
        m->refused = true;
        if (m->key[0] && ++m->tries < PUSH_TRIES_MAX) { // the same key settles it
            world_at(&r->world, RETRY_US, push, p);
            json_decref(answer);
            m->is_under_way = true;
            return;
        }
    }
    json_decref(answer);
    free(p);
}

static void push(void *arg) {
    struct push_call *p = arg;
    struct message *m = p->message;
    struct run *r = p->run;
    char path[64], target[32] = "\"all\": true", body[PADDING_MAX + 128];
    snprintf(path, sizeof(path), "/v1/products/product%d/messages", m->product);
    if (m->user >= 0)
        snprintf(target, sizeof(target), "\"user\": \"user%d\"", m->user);
    snprintf(body, sizeof(body), "{\"to\": {%s}, \"payload\": \"%s%*s\"}", target, m->payload,
             m->padding, "");
    m->is_under_way = true;
    p->asked_us = r->world.now_us;
    if (api_call(r, "POST", path, m->key[0] ? m->key : NULL, body, on_pushed, p))
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

static void push_new(struct run *r, int product, int user) {
    struct world *w = &r->world;
    struct message *m = &r->messages[r->message_count];
    struct push_call *p = hw_malloc(sizeof(*p));
    *m = (struct message){.product = product, .user = user, .pushed_us = w->now_us};
    snprintf(m->payload, sizeof(m->payload), "m%d", r->message_count);
    if (world_chance(w, 500))
        snprintf(m->key, sizeof(m->key), "key-%d", r->message_count);
    if (world_chance(w, 50))
        m->padding = (int)world_between(w, 100, PADDING_MAX);
    r->message_count++;
    *p = (struct push_call){.run = r, .message = m};
    push(p);
}

void push_to_all(struct run *r) {
    for (int product = 0; product < PRODUCTS; product++)
        for (int user = -1; user < USERS; user++)
            if (user < 0 || has_device(r, product, user))
                push_new(r, product, user);
    r->wanted_messages = r->message_count;
}

// To one stream.
static void push_burst(struct run *r, int count) {
    struct world *w = &r->world;
    int product = (int)rng_below(&w->rng, PRODUCTS), user;
    do
        user = world_chance(w, 250) ? -1 : (int)rng_below(&w->rng, USERS);
    while (user >= 0 && !has_device(r, product, user));
    for (int i = 0; i < count && r->message_count < r->wanted_messages; i++)
        push_new(r, product, user);
}

void workload_burst(struct run *r) {
    push_burst(r, (int)world_between(&r->world, 10, 60)); // more than a window now and then
}

static void next_push(void *arg) {
    struct run *r = arg;
    struct world *w = &r->world;
    if (r->message_count == r->wanted_messages)
        return;
    if (world_chance(w, 30))
        workload_burst(r);
    else
        push_burst(r, 1);
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
    return true;
}

// --- the account

// Lost by the store and told of. An installation that comes back with positions of a lost log is
// told so by a Reset, whenever that is.
static bool is_excused(const struct run *r, const struct client *c, const struct binding *b,
                       const struct message *m) {
    int stream = m->user >= 0 ? HAWSER_INBOX : HAWSER_NEWS;
    const struct binding *other = c->rival ? &c->rival->bindings[b - c->bindings] : b;
    uint64_t told_us =
        b->told_us[stream] > other->told_us[stream] ? b->told_us[stream] : other->told_us[stream];
    // It may have been stored long before the answer said so.
    bool is_reset = b->reset_us[stream] >= m->pushed_us || other->reset_us[stream] >= m->pushed_us;
    return r->store_lost &&
           (is_reset || (m->accepted_us <= r->lost_us && told_us >= r->lost_since_us));
}

bool everything_arrived(struct run *r, bool say) {
    bool all = true;
    for (int i = 0; i < DEVICES; i++)
        for (int k = 0; k < r->clients[i].binding_count; k++) {
            const struct binding *b = &r->clients[i].bindings[k];
            for (int n = 0; n < r->message_count; n++) {
                const struct message *m = &r->messages[n];
                bool is_for = m->product == b->product && (m->user < 0 || m->user == b->user);
                if (!is_for || r->clients[i].has_left || m->accepted_us == 0 || was_handled(b, n) ||
                    is_excused(r, &r->clients[i], b, m))
                    continue;
                if (say && all)
                    inspect_client(&r->clients[i]);
                all = false;
                if (say)
                    violation(r, "client%d never got %s to %s%d of product%d", i, m->payload,
                              m->user < 0 ? "all" : "user", m->user, m->product);
            }
        }
    return all;
}
