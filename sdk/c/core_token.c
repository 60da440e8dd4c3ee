// What bindings log in with. A new token or other tags are an offer beside what is held: refused,
// what is held goes on until it ends. Tokens that are refused, or accepted at their end, one after
// the other, are asked for and sent ever more slowly, for each binding, whatever way they came: an
// application whose clock is wrong, or a fleet of them, makes no storm.
#include "bytes.h"
#include "core_internal.h"

enum { TAG_MAX = 64, TAGS_BYTES_MAX = 1024 };

// --- credentials

bool credentials_are_valid(const char *token, const char *const *tags, size_t tag_count) {
    size_t bytes = 0;
    if (!token || !id_is_valid(token, strlen(token), HAWSER_TOKEN_MAX) ||
        tag_count > HAWSER_TAGS_MAX)
        return false;
    for (size_t i = 0; i < tag_count; i++) {
        size_t len = tags[i] ? strlen(tags[i]) : 0;
        bytes += len;
        if (!tags[i] || !id_is_valid(tags[i], len, TAG_MAX))
            return false;
    }
    return bytes <= TAGS_BYTES_MAX;
}

static struct credentials credentials_copy(const char *token, const char *const *tags,
                                           size_t tag_count) {
    struct credentials x = {.token = hw_strdup(token), .tag_count = tag_count};
    x.tags = hw_calloc(tag_count + 1, sizeof(x.tags[0]));
    for (size_t i = 0; i < tag_count; i++)
        x.tags[i] = hw_strdup(tags[i]);
    return x;
}

static void hold_offer(struct binding *b) {
    credentials_free(&b->held);
    b->held = b->offer;
    b->offer = (struct credentials){0};
}

// tags may be those of the credentials that go.
void binding_offer(struct binding *b, const char *token, const char *const *tags,
                   size_t tag_count) {
    struct credentials x = credentials_copy(token, tags, tag_count);
    bool untried = b->state == BINDING_NEW && !b->was_accepted;
    credentials_free(&b->offer);
    b->offer = x;
    b->offer_sent = false; // what may be on its way is an older one
    b->ask_at_ms = NEVER;
    // What is held has ended, or was never known to be good.
    if (b->state == BINDING_TOKEN || untried)
        hold_offer(b);
    if (b->state == BINDING_TOKEN)
        b->state = BINDING_NEW; // when it is due is known since the refusal
}

// --- accepted, refused

// How long to wait after one more token that was of no use: not at all the first time, or the first
// after twice as long as the waits get.
static uint64_t refusal_wait(struct client_core *c, struct binding *b) {
    if (c->now_ms - b->refused_ms >= 2 * (uint64_t)c->backoff_cap_ms)
        b->refusals = 0;
    b->refused_ms = c->now_ms;
    uint32_t before = b->refusals++;
    return before == 0 ? 0 : 1 + rng_below(c->rng, route_backoff_window(c, before));
}

void binding_later(struct client_core *c, struct binding *b) {
    uint64_t window = route_backoff_window(c, ++b->failures);
    b->renew_sent = b->offer_sent = false;
    b->retry_at_ms = c->now_ms + 1 + rng_below(c->rng, window);
}

static void plan_token(struct client_core *c, struct binding *b, uint64_t expires_ms) {
    b->expires_ms = expires_ms;
    b->ask_at_ms = NEVER;
    if (expires_ms == 0 || expires_ms > UNIX_MS_MAX || c->server_ahead_ms == 0)
        return;
    int64_t left = (int64_t)expires_ms - c->server_ahead_ms - (int64_t)c->now_ms;
    int64_t lead = left / 2 < TOKEN_LEAD_MS ? left / 2 : TOKEN_LEAD_MS;
    uint64_t wait = left > 0 ? (uint64_t)(left - lead) : 0;
    uint64_t least = left > TOKEN_LEAD_MS ? 0 : refusal_wait(c, b);
    b->ask_at_ms = c->now_ms + (wait > least ? wait : least);
}

void binding_accepted(struct client_core *c, struct binding *b, uint64_t expires_ms) {
    if (b->offer_sent && b->offer.token)
        hold_offer(b);
    b->offer_sent = b->renew_sent = false;
    b->failures = 0;
    plan_token(c, b, expires_ms);
    b->was_accepted = true;
}

void binding_drop_offer(struct client_core *c, struct binding *b, uint32_t code,
                        const char *reason) {
    credentials_free(&b->offer);
    core_notice(c, "a new token for %s was refused, the old one stays: %u %s", binding_product(b),
                code, reason);
    if (b->state != BINDING_BOUND)
        return;
    if (c->callbacks.on_token_needed)
        b->ask_at_ms = b->retry_at_ms;
    binding_tell(c, b,
                 (struct hawser_binding_event){.bound = true, .code = code, .reason = reason});
}

bool binding_survives(const struct client_core *c, const struct binding *b, uint32_t code) {
    bool is_expired = code == HAWSER_TOKEN_EXPIRED;
    if (b->leaving || (code != HAWSER_TOKEN_REFUSED && !is_expired))
        return false;
    return b->offer.token || (is_expired && c->callbacks.on_token_needed);
}

bool binding_refused(struct client_core *c, struct binding *b, uint32_t code, const char *reason) {
    bool of_offer = b->offer_sent && b->offer.token;
    b->offer_sent = b->renew_sent = false;
    if (!binding_survives(c, b, code))
        return false;
    b->retry_at_ms = c->now_ms + refusal_wait(c, b);
    if (b->state == BINDING_SENT)
        b->state = BINDING_NEW;
    if (of_offer) {
        binding_drop_offer(c, b, code, reason);
        return true;
    }
    if (b->offer.token) {
        hold_offer(b);
        return true;
    }
    b->state = BINDING_TOKEN;
    b->ask_at_ms = NEVER;
    c->callbacks.on_token_needed(c->arg, b->id, binding_product(b), true);
    return true;
}

void tokens_ask_due(struct client_core *c) {
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        struct binding *b = &c->bindings[i];
        if (!binding_is_wanted(b) || b->ask_at_ms > c->now_ms)
            continue;
        b->ask_at_ms = NEVER;
        if (c->callbacks.on_token_needed)
            c->callbacks.on_token_needed(c->arg, b->id, binding_product(b), false);
    }
}
