// Tokens, as the app server hands them out, and the tags of devices. Where the seed says so tokens
// are short: the SDK asks for others in time, and some applications are too lazy to answer while
// things break. Some devices change their tags, now and then as their connection breaks.
#include <jansson.h>

#include "buf.h"
#include "run.h"

enum {
    RETRY_US = 300000,
    LONG_S = 86400,
    SHORT_S = 100,
    LAZY_S = 20,
    ANSWER_US = 5000000,
    TAGS_SETTLED_US = 30000000, // what was under way when they changed is there by then
    TAG_KINDS = 6
};

// --- asking the app server

struct token_call {
    struct client *client;
    struct binding *binding;
};

static void ask_token(void *arg);

static void use_token(void *arg) {
    struct token_call *t = arg;
    if (!t->client->is_out[t->binding->product]) // else it would take the place back
        client_bind(t->client, t->binding);
    free(t);
}

static void on_token(void *arg, int status, const char *body, size_t len) {
    struct token_call *t = arg;
    struct client *c = t->client;
    json_t *answer = status == 200 ? json_loadb(body, len, 0, NULL) : NULL;
    const char *token = json_string_value(json_object_get(answer, "token"));
    if (!token) {
        world_at(&c->run->world, RETRY_US, ask_token, t);
        json_decref(answer);
        return;
    }
    char **known = &c->tokens[t->binding->product];
    c->run->tokens_left -= *known == NULL;
    free(*known);
    *known = hw_strdup(token);
    json_decref(answer);
    t->binding->is_token_asked = false;
    if (c->sdk)
        node_defer(&c->run->world, c->node, use_token, free, t);
    else
        free(t);
}

static void ask_token(void *arg) {
    struct token_call *t = arg;
    struct client *c = t->client;
    struct run *r = c->run;
    int product = t->binding->product;
    char path[64], body[64];
    bool is_short =
        r->has_short_tokens && (r->fire_ends_us == 0 || r->world.now_us < r->fire_ends_us);
    int ttl_s = !is_short ? LONG_S : c->is_lazy ? LAZY_S : SHORT_S;
    snprintf(path, sizeof(path), "/v1/products/product%d/tokens", product);
    snprintf(body, sizeof(body), "{\"user\": \"user%d\", \"ttl_s\": %d}", c->user, ttl_s);
    if (!r->product_ready[product] || !api_call(r, "POST", path, NULL, body, on_token, t))
        world_at(&r->world, RETRY_US, ask_token, t);
}

static void ask_later(struct client *c, struct binding *b, uint64_t after_us) {
    struct token_call *t = hw_malloc(sizeof(*t));
    *t = (struct token_call){c, b};
    b->is_token_asked = true;
    world_at(&c->run->world, after_us, ask_token, t);
}

void tokens_prepare(struct run *r) {
    r->has_short_tokens = world_chance(&r->world, 300);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &r->clients[i];
        c->is_lazy = r->has_short_tokens && world_chance(&r->world, 250);
        r->tokens_left += c->binding_count;
        for (int k = 0; k < c->binding_count; k++)
            ask_later(c, &c->bindings[k], 0);
    }
}

void token_needed(struct client *c, struct binding *b) {
    struct run *r = c->run;
    uint64_t after_us = world_between(&r->world, 0, ANSWER_US);
    if (b->is_token_asked)
        return;
    if (c->is_lazy && r->fire_ends_us > r->world.now_us)
        after_us += r->fire_ends_us - r->world.now_us;
    ask_later(c, b, after_us);
}

// Who is not running is handed one too.
static void renew_all(void *arg) {
    struct run *r = arg;
    for (int i = 0; i < CLIENTS; i++)
        for (int k = 0; k < r->clients[i].binding_count; k++)
            if (!r->clients[i].bindings[k].is_token_asked)
                ask_later(&r->clients[i], &r->clients[i].bindings[k], 0);
}

// --- tags

// One of the first two, and one of the others.
static unsigned tags_of(const struct client *c, int kind) {
    int n = c->number + kind;
    return 1u << n % 2 | 4u << n % 3;
}

bool client_has_tag(const struct client *c, const struct binding *b, int tag) {
    return tags_of(c, b->tags) & 1u << tag;
}

static bool is_in(const struct message *m, unsigned has) {
    return (m->any == 0 || has & m->any) && (has & m->all) == m->all && !(has & m->none);
}

// Whether the room that has the session may still go by those of before.
static bool tags_are_changing(const struct run *r, const struct binding *b) {
    return b->tags != b->old_tags &&
           (b->is_offered || r->world.now_us < b->tagged_us + TAGS_SETTLED_US);
}

bool audience_has_client(const struct message *m, const struct client *c, const struct binding *b) {
    return is_in(m, tags_of(c, b->tags)) ||
           (tags_are_changing(c->run, b) && is_in(m, tags_of(c, b->old_tags)));
}

bool audience_is_unsure(const struct message *m, const struct run *r, const struct binding *b) {
    return m->aim == AT_TAGS && b->tags != b->old_tags &&
           (tags_are_changing(r, b) || m->pushed_us < b->tagged_us + TAGS_SETTLED_US);
}

// A renewal or a reconnect with the tags of before says nothing of when they changed.
void tags_are_bound(const struct run *r, struct binding *b) {
    if (!b->is_offered)
        return;
    b->is_offered = false;
    b->tagged_us = r->world.now_us;
}

static void change(struct client *c) {
    struct world *w = &c->run->world;
    int kind = (int)world_between(w, 1, TAG_KINDS - 1);
    for (int k = 0; k < c->binding_count; k++) {
        struct binding *b = &c->bindings[k];
        struct token_call *t = hw_malloc(sizeof(*t));
        *t = (struct token_call){c, b};
        b->old_tags = b->tags;
        b->tags = (b->tags + kind) % TAG_KINDS;
        b->is_offered = true;
        node_defer(w, c->node, use_token, free, t);
    }
    world_note(w, w->nodes[c->node].name, "changes its tags");
    if (world_chance(w, 500)) // it comes back with them
        net_reset(w, c->node, 0);
}

static bool may_change(const struct client *c) {
    if (!c->sdk || c->rival || c->has_left)
        return false;
    for (int k = 0; k < c->binding_count; k++)
        if (c->bindings[k].is_offered || tags_are_changing(c->run, &c->bindings[k]))
            return false;
    return true;
}

static void change_one(void *arg) {
    struct run *r = arg;
    struct client *c = &r->clients[rng_below(&r->world.rng, DEVICES)];
    if (r->world.now_us > r->fire_ends_us)
        return;
    if (may_change(c))
        change(c);
    world_at(&r->world, world_between(&r->world, 500000, 3000000), change_one, r);
}

void tokens_start(struct run *r) {
    if (r->has_short_tokens)
        world_at(&r->world, r->fire_ends_us - r->world.now_us, renew_all, r);
    if (r->has_variety && world_chance(&r->world, 500))
        change_one(r);
}
