// What the user wants of bindings: the calls of hawser.h that come from everywhere, callbacks too.
#include <errno.h>

#include "bytes.h"
#include "core_internal.h"
#include "token.h"

enum { TYPE_MAX = 64 };

static struct binding *binding_by_id(struct client_core *c, int id) {
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        if (binding_is_wanted(&c->bindings[i]) && c->bindings[i].id == id)
            return &c->bindings[i];
    return NULL;
}

static struct binding *binding_by_product(struct client_core *c, const char *product) {
    for (size_t i = 0; product && i < BINDING_SLOTS; i++)
        if (binding_is_wanted(&c->bindings[i]) && c->bindings[i].product &&
            strcmp(c->bindings[i].product, product) == 0)
            return &c->bindings[i];
    return NULL;
}

static struct binding *binding_new(struct client_core *c) {
    size_t wanted = 0;
    struct binding *free_slot = NULL;
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        wanted += binding_is_wanted(&c->bindings[i]);
        if (!free_slot && c->bindings[i].state == BINDING_FREE)
            free_slot = &c->bindings[i];
    }
    if (!free_slot || wanted >= HAWSER_BINDINGS_MAX)
        return NULL;
    *free_slot = (struct binding){.state = BINDING_NEW, .ask_at_ms = NEVER};
    free_slot->id = ++c->last_binding_id;
    free_slot->record = hw_calloc(1, sizeof(*free_slot->record));
    return free_slot;
}

static int bind_new(struct client_core *c, const char *token, const char *const *tags,
                    size_t tag_count, struct token_claims *claims) {
    struct binding *old = binding_by_product(c, claims->product);
    if (old)
        old->leaving = true; // no longer counts against the limit
    struct binding *b = binding_new(c);
    if (!b) {
        if (old)
            old->leaving = false;
        return -E2BIG;
    }
    b->product = claims->product;
    b->user = claims->user;
    *claims = (struct token_claims){0};
    binding_offer(b, token, tags, tag_count);
    binding_load(c, b);
    // Until the room has answered, what arrives for the product is the old user's.
    if (old && (old->state == BINDING_NEW || old->state == BINDING_TOKEN))
        binding_end(c, old, 0, "another user took its place");
    return b->id;
}

int core_bind(struct client_core *c, uint64_t now_ms, const char *token, const char *const *tags,
              size_t tag_count) {
    if (!credentials_are_valid(token, tags, tag_count))
        return -EINVAL;
    core_enter(c, now_ms);
    c->end_code = 0;
    struct token_claims claims;
    token_claims_read(token, &claims);
    struct binding *same = binding_by_product(c, claims.product);
    int id;
    if (same && strcmp(same->user, claims.user) == 0) {
        binding_offer(same, token, tags, tag_count);
        id = same->id;
    } else {
        id = bind_new(c, token, tags, tag_count, &claims);
    }
    token_claims_free(&claims);
    core_leave(c);
    return id;
}

int core_renew(struct client_core *c, uint64_t now_ms, int binding, const char *token) {
    struct binding *b = binding_by_id(c, binding);
    if (!b)
        return -ENOENT;
    if (!credentials_are_valid(token, NULL, 0))
        return -EINVAL;
    struct token_claims claims;
    token_claims_read(token, &claims);
    bool same = !b->product || !claims.product ||
                (strcmp(b->product, claims.product) == 0 && strcmp(b->user, claims.user) == 0);
    token_claims_free(&claims);
    if (!same)
        return -EINVAL;
    core_enter(c, now_ms);
    const struct credentials *newest = binding_credentials(b);
    binding_offer(b, token, (const char *const *)newest->tags, newest->tag_count);
    core_leave(c);
    return 0;
}

int core_unbind(struct client_core *c, uint64_t now_ms, int binding) {
    struct binding *b = binding_by_id(c, binding);
    if (!b)
        return -ENOENT;
    core_enter(c, now_ms);
    acks_flush(c);
    if (b->state == BINDING_BOUND && c->phase == PHASE_ONLINE)
        login_put_unbind(c, b->number);
    binding_end(c, b, 0, "unbound");
    core_leave(c);
    return 0;
}

int core_upstream(struct client_core *c, uint64_t now_ms, int binding,
                  const struct core_upstream *u) {
    const struct binding *b = binding_by_id(c, binding);
    if (!b)
        return -ENOENT;
    if (!u->type || !id_is_valid(u->type, strlen(u->type), TYPE_MAX))
        return -EINVAL;
    if (c->phase != PHASE_ONLINE || b->state != BINDING_BOUND)
        return -ENOTCONN;
    Hawser__V1__Upstream m = HAWSER__V1__UPSTREAM__INIT;
    m.product = b->number;
    m.type = (char *)(uintptr_t)u->type;
    m.id = (ProtobufCBinaryData){HAWSER_UPSTREAM_ID_BYTES, (uint8_t *)(uintptr_t)u->id};
    m.payload = (ProtobufCBinaryData){u->payload_len, (uint8_t *)(uintptr_t)u->payload};
    m.reply = u->with_reply;
    if (hawser__v1__upstream__get_packed_size(&m) > c->max_frame)
        return -EMSGSIZE;
    core_enter(c, now_ms);
    core_put(c, FRAME_UPSTREAM, &m);
    core_leave(c);
    return 0;
}
