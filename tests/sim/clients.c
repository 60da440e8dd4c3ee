// The clients of a run: the production SDK on simulated nodes, an application that remembers what
// it handled, and the checks at each thing that it is told.
#include <errno.h>

#include "buf.h"
#include "run.h"

#define COUNT_MAX (UINT64_C(1) << 20) // seqs that a run comes to; a jump is larger

// --- positions: what is saved with them is what the application keeps over a crash

struct wrapped_store {
    struct position_store store; // first
    struct client *client;
    bool is_dead;
};

static bool load(struct position_store *s, const struct position_key *key,
                 struct position_record *ret_record) {
    struct position_store *inner = ((struct wrapped_store *)s)->client->positions;
    return inner->load(inner, key, ret_record);
}

static int save(struct position_store *s, const struct position_change *changes, size_t count) {
    struct client *c = ((struct wrapped_store *)s)->client;
    if (((struct wrapped_store *)s)->is_dead)
        return 0; // a killed process writes nothing
    if (world_chance(&c->run->world, 30))
        return -ENOSPC;
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < c->binding_count; k++) {
            char name[16];
            snprintf(name, sizeof(name), "product%d", c->bindings[k].product);
            if (strcmp(name, changes[i].key.product) == 0)
                c->bindings[k].durable = c->bindings[k].now;
        }
    return c->positions->save(c->positions, changes, count);
}

// What the rival has stored, as when its files are restored at another place.
static void positions_copy(struct client *to, const struct client *from) {
    for (int k = 0; k < from->binding_count; k++) {
        const struct binding *b = &from->bindings[k];
        char product[16], user[16];
        struct position_record record;
        struct position_change change = {{product, user, from->device}, &record};
        snprintf(product, sizeof(product), "product%d", b->product);
        snprintf(user, sizeof(user), "user%d", b->user);
        if (!from->positions->load(from->positions, &change.key, &record))
            continue;
        (void)to->positions->save(to->positions, &change, 1);
        to->bindings[k].now = to->bindings[k].durable = b->durable;
    }
}

static void close_store(struct position_store *s) {
    free(s);
}

// --- what the application is told

enum {
    LATE_US = 10000000, // a login that was begun may be done so much later
    REFUSED = 5         // of 1,000 messages while things break: the application cannot take it
};

static struct binding *binding_of(struct client *c, const char *product) {
    for (int i = 0; i < c->binding_count; i++)
        if (c->bindings[i].product == product[strlen("product")] - '0')
            return &c->bindings[i];
    violation(c->run, "%s was told of product '%s'", c->device, product);
    return &c->bindings[0];
}

static bool has(const struct seen *s, int message) {
    return s->handled[message / 8] & 1u << message % 8;
}

bool was_handled(const struct binding *b, int message) {
    return has(&b->now, message) || (b->ever && has(b->ever, message));
}

static const char *node_name(const struct client *c) {
    return c->run->world.nodes[c->node].name;
}

// Messages to other devices of its user: the application is not told of them.
static uint64_t meant_for_others(const struct client *c, const struct binding *b) {
    const struct run *r = c->run;
    uint64_t count = 0;
    for (int n = 0; n < r->message_count; n++) {
        const struct message *m = &r->messages[n];
        count += m->aim == AT_DEVICES && m->product == b->product && !m->is_live &&
                 (m->targets & UINT64_C(1) << b->user) && c->number != b->user;
    }
    return count;
}

static void check_order(struct client *c, struct binding *b, int stream, uint64_t first,
                        uint64_t last, const char *what) {
    struct seen *seen = &b->now;
    // After a loss a message may come again under another seq, and the SDK keeps that to itself.
    bool contiguous = stream == HAWSER_INBOX && seen->started[stream] && !c->run->store_lost;
    if (seen->started[stream] && first <= seen->at[stream] && last <= seen->at[stream])
        violation(c->run, "%s: %s %llu of stream %d after %llu", node_name(c), what,
                  (unsigned long long)last, stream, (unsigned long long)seen->at[stream]);
    uint64_t skipped = contiguous && first > seen->at[stream] ? first - seen->at[stream] - 1 : 0;
    seen->skipped += skipped;
    if (skipped > 0 && seen->skipped > meant_for_others(c, b))
        violation(c->run, "%s: %s %llu of the inbox skips %llu", node_name(c), what,
                  (unsigned long long)first, (unsigned long long)seen->at[stream] + 1);
    seen->at[stream] = last;
    seen->started[stream] = true;
    if (stream == HAWSER_NEWS)
        b->refused_us = 0;
    if (!b->ever)
        return;
    b->ever->at[stream] = b->ever->at[stream] > last ? b->ever->at[stream] : last;
    b->ever->started[stream] = true;
}

static int on_message(void *arg, const struct hawser_message *m) {
    struct client *c = arg;
    struct run *r = c->run;
    struct binding *b = binding_of(c, m->product);
    char text[24] = "";
    memcpy(text, m->payload, m->payload_len < sizeof(text) ? m->payload_len : sizeof(text) - 1);
    text[strcspn(text, " ")] = '\0';
    unsigned index = MESSAGES_MAX;
    if (sscanf(text, "m%u", &index) != 1 || index >= (unsigned)r->message_count) {
        violation(r, "%s handled what nobody sent", node_name(c));
        return 0;
    }
    const struct message *sent = &r->messages[index];
    if (!message_is_for(sent, c, b) || sent->is_live != (m->seq == 0))
        violation(r, "%s handled m%u, which is not for it", node_name(c), index);
    if (sent->refused && !sent->unknown && !sent->is_under_way && sent->accepted_us == 0)
        violation(r, "%s handled m%u, which was refused", node_name(c), index);
    recall_check_handled(c, sent);
    if (has(&b->now, (int)index))
        violation(r, "%s handled m%u twice", node_name(c), index);
    if (m->seq != 0 && r->world.now_us < r->fire_ends_us && world_chance(&r->world, REFUSED)) {
        world_note(&r->world, node_name(c), "cannot take m%u now", index);
        if (m->stream == HAWSER_NEWS)
            b->refused_us = r->world.now_us;
        return 1; // it comes again
    }
    if (parking_refuses(c, (int)index))
        return 1;
    b->now.handled[index / 8] |= (uint8_t)(1u << index % 8);
    if (b->ever)
        b->ever->handled[index / 8] |= (uint8_t)(1u << index % 8);
    if (sent->handled_us == 0)
        r->messages[index].handled_us = r->world.now_us;
    if (m->seq != 0)
        check_order(c, b, (int)m->stream, m->seq, m->seq, "message");
    r->delivered++;
    world_note(&r->world, node_name(c), "handles %s (%s %llu)", text, hawser_stream_name(m->stream),
               (unsigned long long)m->seq);
    return 0;
}

static void told(struct client *c, struct binding *b, int stream, bool is_excused,
                 const char *what) {
    struct run *r = c->run;
    b->told_us[stream] = r->world.now_us;
    if (!r->store_lost && !is_excused)
        violation(r, "%s was told of a %s though no store lost anything", node_name(c), what);
}

static bool is_trying(const struct client *c) {
    if (!c->sdk)
        return false;
    for (int k = 0; k < c->binding_count; k++)
        if (!c->is_out[c->bindings[k].product])
            return true;
    return false;
}

static bool is_newest(const struct client *c, int product) {
    const struct client *other = c->rival;
    return c->generation[product] > other->generation[product] &&
           (!is_trying(other) || other->is_synced[product]);
}

// What the other installation has handled may have left the log, but not after a newer login.
static bool rival_had(const struct client *c, const struct binding *b, int stream, uint64_t last) {
    return b->ever && b->ever->started[stream] && b->ever->at[stream] >= last &&
           (stream != HAWSER_INBOX || last < b->oldest_at_login || !is_newest(c, b->product));
}

// A message of the stream has a ttl, or the inboxes of the product are small. A gap stands for what
// is not for this device too.
static bool is_due(const struct binding *b, const struct run *r, const struct hawser_gap *g) {
    bool is_inbox = g->stream == HAWSER_INBOX;
    if (g->reason == HAWSER_GAP_OVERFLOWED)
        return is_inbox && b->product == 1 && r->has_small_inboxes;
    if (g->reason != HAWSER_GAP_COLLAPSED && g->reason != HAWSER_GAP_EXPIRED &&
        g->reason != HAWSER_GAP_RECALLED)
        return false;
    for (int n = 0; n < r->message_count; n++) {
        const struct message *m = &r->messages[n];
        bool may_be_it = g->reason == HAWSER_GAP_COLLAPSED ? m->collapse > 0
                         : g->reason == HAWSER_GAP_EXPIRED ? m->ttl_s > 0
                                                           : m->recall_asked_us != 0;
        if (may_be_it && m->product == b->product && message_stream(m) == (int)g->stream &&
            (!is_inbox || m->targets & UINT64_C(1) << b->user))
            return true;
    }
    return false;
}

static void on_gap(void *arg, const struct hawser_gap *g) {
    struct client *c = arg;
    struct binding *b = binding_of(c, g->product);
    world_note(&c->run->world, node_name(c), "is told of a gap %s %llu..%llu, reason %d",
               hawser_stream_name(g->stream), (unsigned long long)g->first,
               (unsigned long long)g->last, (int)g->reason);
    bool is_excused = g->reason == HAWSER_GAP_PARKED
                          ? parking_is_due(c, g)
                          : rival_had(c, b, (int)g->stream, g->last) || is_due(b, c->run, g);
    if (g->reason == HAWSER_GAP_EXPIRED)
        b->expired_us[g->stream] = c->run->world.now_us;
    if (g->reason == HAWSER_GAP_RECALLED)
        b->recalled_us[g->stream] = c->run->world.now_us;
    if (g->reason == HAWSER_GAP_OVERFLOWED)
        b->overflowed_us = c->run->world.now_us;
    if (g->reason == HAWSER_GAP_COLLAPSED)
        b->collapsed_us = c->run->world.now_us;
    if (g->reason != HAWSER_GAP_STORE_RESTARTED && g->last - g->first >= COUNT_MAX)
        violation(c->run, "%s is told that it missed %llu", node_name(c),
                  (unsigned long long)(g->last - g->first));
    check_order(c, b, (int)g->stream, g->first, g->last, "gap");
    told(c, b, (int)g->stream, is_excused, "gap");
}

static void on_reset(void *arg, const struct hawser_reset *x) {
    struct client *c = arg;
    struct binding *b = binding_of(c, x->product);
    world_note(&c->run->world, node_name(c), "is told of a reset of %s to %llu: %s",
               hawser_stream_name(x->stream), (unsigned long long)x->seq, x->reason);
    b->now.at[x->stream] = x->seq;
    b->now.started[x->stream] = true;
    b->reset_us[x->stream] = c->run->world.now_us;
    told(c, b, (int)x->stream, false, "reset");
}

// Everything that was accepted before this login began has been handed on, but for jobs, which are
// spread behind their answer.
static void check_synced(struct client *c, const struct binding *b) {
    struct run *r = c->run;
    for (int n = 0; n < r->message_count && !r->store_lost; n++) {
        const struct message *m = &r->messages[n];
        if (m->accepted_us != 0 && m->accepted_us < c->login_us && !m->is_live && !m->is_wide &&
            message_is_for(m, c, b) && !was_handled(b, n) && !message_is_excused(r, c, b, m))
            violation(r, "%s is synced without m%d", node_name(c), n);
    }
}

static void on_synced(void *arg, int binding, const char *product, const char *user) {
    struct client *c = arg;
    struct binding *b = binding_of(c, product);
    (void)binding;
    (void)user;
    c->is_synced[b->product] = true;
    check_synced(c, b);
    world_note(&c->run->world, node_name(c), "is synced for %s", product);
}

// Also for a product that was refused it for the time being.
static bool asks(const struct client *c) {
    bool any = c->is_asking;
    for (int i = 0; i < c->binding_count && c->sdk; i++) {
        int product = c->bindings[i].product;
        any = any || (!c->is_synced[product] && !c->is_out[product]);
    }
    return any;
}

// Another took the place: one that asked for it since our login. Who asked before has lost it.
static void check_replaced(struct client *c) {
    const struct client *other = c->rival;
    if (!other || (!asks(other) && other->asked_us + LATE_US < c->login_us &&
                   !client_is_throttled(c) && !c->run->store_lost)) {
        violation(c->run, "%s was replaced by nobody", node_name(c));
        inspect_client(c);
    }
}

static void on_state(void *arg, const struct hawser_status *status) {
    struct client *c = arg;
    uint64_t now = c->run->world.now_us;
    if (status->state == HAWSER_CONNECTING)
        c->connecting_us = now;
    if (c->is_asking)
        c->asked_us = now;
    c->is_asking = status->state == HAWSER_CONNECTING;
    for (int k = 0; k < c->binding_count && status->state != HAWSER_ONLINE; k++)
        c->is_synced[c->bindings[k].product] = c->bindings[k].is_bound = false;
    world_note(&c->run->world, node_name(c), "is %s (%u %s)", hawser_state_name(status->state),
               status->code, status->reason);
    if (status->code / 100 == 43)
        violation(c->run, "%s broke the protocol: %s", node_name(c), status->reason);
    if (status->state != HAWSER_STOPPED || status->code == 0)
        return;
    if (status->code != 4001) {
        violation(c->run, "%s was stopped by %u: %s", node_name(c), status->code, status->reason);
        inspect_client(c);
        return;
    }
    check_replaced(c);
    memset(c->is_out, 1, sizeof(c->is_out));
}

// A login that is none of a session that went on has a generation above all that were seen.
static void check_generation(struct client *c, int product, const struct hawser_binding_event *e) {
    uint64_t *seen = &c->generation[product];
    if (e->generation < *seen || (e->generation == *seen && !e->resumed))
        violation(c->run, "%s was bound with generation %llu after %llu", node_name(c),
                  (unsigned long long)e->generation, (unsigned long long)*seen);
    if (c->rival && c->rival->generation[product] == e->generation)
        violation(c->run, "%s and its rival hold generation %llu", node_name(c),
                  (unsigned long long)e->generation);
    *seen = e->generation;
}

// Whether a crash left this installation without a position: it was killed before the first one was
// stored.
static bool has_no_position(const struct client *c, const struct binding *b, int stream) {
    char product[32], user[32];
    struct position_record record;
    snprintf(product, sizeof(product), "product%d", b->product);
    snprintf(user, sizeof(user), "user%d", b->user);
    struct position_key key = {product, user, c->device};
    return !c->positions->load(c->positions, &key, &record) || record.stream[stream].epoch == 0;
}

// An installation that begins with nothing, when the store's copy of its positions is lost, begins
// at the end, and nobody can tell it what lay before.
static void excuse_blank(struct client *c, struct binding *b) {
    for (int stream = 0; stream < 3 && c->run->store_lost; stream++)
        if (b->ever ? !b->now.started[stream] : has_no_position(c, b, stream))
            b->reset_us[stream] = c->run->world.now_us;
}

// A binding that stood already was given a new token, or other tags: nothing else has changed.
static void is_bound(struct client *c, struct binding *b, const struct hawser_binding_event *e) {
    bool is_renewal = b->is_bound;
    b->is_bound = true;
    if (e->code != 0)
        return; // they were refused
    tags_are_bound(c->run, b);
    if (is_renewal)
        return;
    b->refused_us = 0;
    check_generation(c, b->product, e);
    if (e->resumed)
        return;
    if (b->ever)
        b->oldest_at_login = stores_oldest(c->run->stores, e->product, e->user);
    c->login_us = c->connecting_us;
    excuse_blank(c, b);
    parking_bound(c);
}

static void on_binding(void *arg, const struct hawser_binding_event *event) {
    struct client *c = arg;
    struct binding *b = binding_of(c, event->product);
    if (event->bound) {
        is_bound(c, b, event);
        return;
    }
    b->is_bound = false;
    if (event->code != 4001 || c->is_out[b->product])
        return;
    world_note(&c->run->world, node_name(c), "is replaced for %s", event->product);
    check_replaced(c);
    c->is_out[b->product] = true;
    c->is_synced[b->product] = false;
}

static void on_token_needed(void *arg, int binding, const char *product, bool expired) {
    struct client *c = arg;
    (void)binding;
    world_note(&c->run->world, node_name(c), "needs a token for %s%s", product,
               expired ? ", its own has ended" : "");
    token_needed(c, binding_of(c, product));
}

static void on_notice(void *arg, const char *text) {
    struct client *c = arg;
    world_note(&c->run->world, node_name(c), "notes: %s", text);
    // A live broadcast may come by a room that was left, and by the next one, which had it later.
    if (strstr(text, "a live inbox message came again") && !c->run->store_lost)
        violation(c->run, "%s: %s", node_name(c), text);
    if (strstr(text, "broke the protocol"))
        violation(c->run, "%s: %s", node_name(c), text);
}

// --- life

void clients_add(struct run *r) {
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &r->clients[i];
        char name[24];
        snprintf(name, sizeof(name), "client%d", i);
        c->run = r;
        int device = i < DEVICES ? i : FIRST_TWIN + i - DEVICES;
        c->number = device;
        c->user = device % USERS;
        snprintf(c->device, sizeof(c->device), "device%d", device);
        c->node = node_add(&r->world, name);
        c->positions = positions_memory_new();
        c->binding_count = device % 5 == 0 ? 2 : 1;
        for (int k = 0; k < c->binding_count; k++) {
            c->bindings[k].product = (device + k) % PRODUCTS;
            c->bindings[k].user = c->user;
        }
        if (i == device)
            continue;
        struct client *first = c->rival = &r->clients[device];
        first->rival = c;
        for (int k = 0; k < c->binding_count; k++)
            first->bindings[k].ever = c->bindings[k].ever = &first->ever[k];
    }
}

void client_bind(struct client *c, struct binding *b) {
    static const char *const names[TAGS] = {"tag0", "tag1", "tag2", "tag3", "tag4"};
    const char *tags[TAGS];
    size_t count = 0;
    for (int i = 0; i < TAGS; i++)
        if (client_has_tag(c, b, i))
            tags[count++] = names[i];
    if (hawser_bind(c->sdk, c->tokens[b->product], tags, count) < 0)
        violation(c->run, "%s cannot bind", node_name(c));
}

void client_boot(struct client *c) {
    struct run *r = c->run;
    static const char *const dispatchers[] = {"10.0.0.10:7100", "10.0.0.11:7100"};
    struct hawser_options options = {.dispatchers = dispatchers,
                                     .dispatcher_count = 2,
                                     .device = c->device,
                                     .heartbeat_s = 10,
                                     .callbacks = {.on_message = on_message,
                                                   .on_gap = on_gap,
                                                   .on_reset = on_reset,
                                                   .on_synced = on_synced,
                                                   .on_state = on_state,
                                                   .on_binding = on_binding,
                                                   .on_token_needed = on_token_needed,
                                                   .on_notice = on_notice},
                                     .arg = c};
    char error[HAWSER_ERROR_BYTES] = "";
    struct wrapped_store *store = hw_calloc(1, sizeof(*store));
    store->store = (struct position_store){.load = load, .save = save, .close = close_store};
    store->client = c;
    c->wrapped = &store->store;
    c->login_us = c->connecting_us = r->world.now_us;
    memset(c->is_out, 0, sizeof(c->is_out));
    c->sdk = hawser_client_new_on(node_boot(&r->world, c->node), &options, c->wrapped, error,
                                  sizeof(error));
    if (!c->sdk) {
        violation(r, "%s does not start: %s", node_name(c), error);
        return;
    }
    for (int k = 0; k < c->binding_count; k++)
        client_bind(c, &c->bindings[k]);
    node_wake(&r->world, c->node);
}

void client_halt(struct client *c, bool kill) {
    struct world *w = &c->run->world;
    if (c->is_asking)
        c->asked_us = w->now_us;
    c->is_asking = false;
    w->nodes[c->node].is_frozen = false;
    w->nodes[c->node].os.is_dead = kill;
    ((struct wrapped_store *)c->wrapped)->is_dead = kill;
    hawser_free(c->sdk);
    c->sdk = NULL;
    c->wrapped->close(c->wrapped);
    c->wrapped = NULL;
    if (node_halt(w, c->node, kill) != 0)
        violation(c->run, "%s left something in its loop", w->nodes[c->node].name);
    for (int k = 0; k < c->binding_count; k++) { // a clean end has stored, if the disk took it
        c->bindings[k].now = c->bindings[k].durable;
        c->bindings[k].is_bound = false;
    }
    memset(c->is_synced, 0, sizeof(c->is_synced));
}

void client_take_over(struct client *c) {
    struct world *w = &c->run->world;
    bool is_copy = world_chance(w, 500); // else it goes on where it was once, or begins
    if (c->sdk)
        client_halt(c, world_chance(w, 500));
    world_note(w, node_name(c), "takes %s over%s", c->device, is_copy ? " with its files" : "");
    if (is_copy)
        positions_copy(c, c->rival);
    client_boot(c);
}

static void count_holders(const struct client *c, int product, int *ret_holders, int *ret_synced) {
    *ret_holders = *ret_synced = 0;
    for (int i = 0; i < 2; i++) {
        const struct client *one = i == 0 ? c : c->rival;
        bool holds = one && one->sdk && !one->is_out[product];
        *ret_holders += holds;
        *ret_synced += holds && one->is_synced[product];
    }
}

bool client_is_synced(const struct client *c) {
    for (int k = 0; k < c->binding_count && !c->has_left; k++) {
        int holders, synced;
        count_holders(c, c->bindings[k].product, &holders, &synced);
        if (synced == 0)
            return false;
    }
    return true;
}

bool client_is_settled(const struct client *c) {
    for (int k = 0; k < c->binding_count && !c->has_left; k++) {
        int holders, synced;
        count_holders(c, c->bindings[k].product, &holders, &synced);
        if (holders != 1 || synced != 1)
            return false;
    }
    return true;
}

bool client_is_throttled(const struct client *c) {
    uint64_t at = stores_throttled_us(c->run->stores, c->device);
    return at != 0 && at + THROTTLED_US > c->run->world.now_us;
}

static bool all(struct run *r, bool (*what)(const struct client *c)) {
    for (int i = 0; i < DEVICES; i++)
        if (!what(&r->clients[i]))
            return false;
    return true;
}

bool clients_are_synced(struct run *r) {
    return all(r, client_is_synced);
}

bool clients_are_settled(struct run *r) {
    return all(r, client_is_settled);
}
