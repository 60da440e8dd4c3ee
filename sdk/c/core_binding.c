// Bindings as they are: what each is of, and what all of them come to. Nothing here sends a frame.
#include "core_internal.h"

bool binding_is_wanted(const struct binding *b) {
    return b->state != BINDING_FREE && b->state != BINDING_ENDED && !b->leaving;
}

struct binding *binding_by_number(struct client_core *c, uint32_t number) {
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        if (c->bindings[i].state == BINDING_BOUND && c->bindings[i].number == number)
            return &c->bindings[i];
    return NULL;
}

const char *binding_product(const struct binding *b) {
    return b->product ? b->product : "";
}

const char *binding_user(const struct binding *b) {
    return b->user ? b->user : "";
}

const struct credentials *binding_credentials(const struct binding *b) {
    return b->offer.token ? &b->offer : &b->held;
}

void credentials_free(struct credentials *x) {
    for (size_t i = 0; i < x->tag_count; i++)
        free(x->tags[i]);
    free(x->tags);
    free(x->token);
    *x = (struct credentials){0};
}

void binding_free(struct binding *b) {
    credentials_free(&b->held);
    credentials_free(&b->offer);
    free(b->record);
    free(b->product);
    free(b->user);
    *b = (struct binding){0};
}

void binding_load(struct client_core *c, struct binding *b) {
    struct position_key key = {b->product, b->user, c->device};
    if (b->product && c->store->load(c->store, &key, b->record))
        memcpy(b->stored, b->record->stream, sizeof(b->stored));
}

// --- what the user hears of one

void binding_tell(struct client_core *c, const struct binding *b,
                  struct hawser_binding_event event) {
    event.binding = b->id;
    event.product = binding_product(b);
    event.user = binding_user(b);
    event.expires_ms = b->expires_ms;
    event.generation = b->generation;
    if (c->callbacks.on_binding)
        c->callbacks.on_binding(c->arg, &event);
}

void binding_end(struct client_core *c, struct binding *b, uint32_t code, const char *reason) {
    if (b->state == BINDING_ENDED)
        return;
    b->state = BINDING_ENDED;
    b->number = 0;
    c->end_code = code;
    snprintf(c->end_reason, sizeof(c->end_reason), "%s", reason);
    binding_tell(c, b, (struct hawser_binding_event){.code = code, .reason = reason});
}

// --- all of them

void bindings_retire_leaving(struct client_core *c) {
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        if (c->bindings[i].leaving)
            binding_end(c, &c->bindings[i], 0, "another user took its place");
}

void bindings_connection_lost(struct client_core *c) {
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        struct binding *b = &c->bindings[i];
        if (b->state == BINDING_SENT || b->state == BINDING_BOUND)
            b->state = BINDING_NEW;
        b->number = 0;
        b->renew_sent = b->synced_due = false;
        b->ask_at_ms = NEVER;
        for (size_t s = 0; s < POSITION_STREAMS; s++)
            b->stream[s] = (struct core_stream){0};
    }
    bindings_retire_leaving(c);
}

bool bindings_have_work(const struct client_core *c) {
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        if (binding_is_wanted(&c->bindings[i]) && c->bindings[i].state != BINDING_TOKEN)
            return true;
    return false;
}

bool bindings_are_there(const struct client_core *c) {
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        if (binding_is_wanted(&c->bindings[i]))
            return true;
    return false;
}

uint64_t bindings_due_ms(const struct client_core *c) {
    uint64_t due = NEVER;
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        const struct binding *b = &c->bindings[i];
        if (b->state == BINDING_NEW && !b->leaving && b->retry_at_ms < due)
            due = b->retry_at_ms;
    }
    return due;
}

uint64_t bindings_next_ms(const struct client_core *c) {
    uint64_t next = NEVER;
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        const struct binding *b = &c->bindings[i];
        if (!binding_is_wanted(b))
            continue;
        if (b->ask_at_ms < next)
            next = b->ask_at_ms;
        bool is_due = b->state == BINDING_NEW || (b->state == BINDING_BOUND && b->offer.token);
        if (is_due && !b->renew_sent && b->retry_at_ms < next)
            next = b->retry_at_ms;
    }
    return next;
}

size_t bindings_concerned(struct client_core *c, struct binding *ret_list[BINDING_SLOTS]) {
    size_t count = 0;
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        struct binding *b = &c->bindings[i];
        bool is_one = c->phase == PHASE_LOCATING ? b->id == c->located_for
                      : c->phase == PHASE_LOGIN  ? b->state == BINDING_SENT
                                                 : b->state == BINDING_BOUND;
        if (is_one && binding_is_wanted(b))
            ret_list[count++] = b;
    }
    return count;
}
