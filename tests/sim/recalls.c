// Recalls: some of what was accepted is taken back a while later, and asked for again until that is
// answered. Who logs in behind the answer never gets it; nor does anybody else, some seconds later,
// when nothing is wrong.
#include "buf.h"
#include "run.h"

enum {
    RECALLED_PERMILLE = 80,
    RECALL_AFTER_US = 2000000,
    RECALL_RETRY_US = 700000,
    RECALL_TRIES_MAX = 60,
    ON_ITS_WAY_US = 5000000,
};

struct recall_call {
    struct run *run;
    struct message *message;
    int tries;
};

static void recall(void *arg);

static void recall_over(struct recall_call *p) {
    p->run->open_recalls--;
    free(p);
}

static void on_recalled(void *arg, int status, const char *body, size_t len) {
    struct recall_call *p = arg;
    struct message *m = p->message;
    struct world *w = &p->run->world;
    (void)body;
    (void)len;
    world_note(w, "app", "recall of %s: %d", m->payload, status);
    if (status == 200)
        m->recalled_us = w->now_us;
    if (status == 200 || status == 404 || ++p->tries >= RECALL_TRIES_MAX)
        recall_over(p);
    else
        world_at(w, RECALL_RETRY_US, recall, p);
}

static void recall(void *arg) {
    struct recall_call *p = arg;
    struct message *m = p->message;
    struct world *w = &p->run->world;
    char path[96];
    snprintf(path, sizeof(path), "/v1/products/product%d/messages/%s", m->product, m->id);
    if (m->recall_asked_us == 0)
        m->recall_asked_us = w->now_us;
    if (!api_call(p->run, "DELETE", path, NULL, "{}", on_recalled, p))
        world_at(w, RECALL_RETRY_US, recall, p);
}

static bool can_be_recalled(const struct message *m) {
    bool is_to_one = m->aim == AT_USERS && (m->targets & (m->targets - 1)) == 0;
    return m->id[0] && !m->is_live && (is_to_one || message_stream(m) == HAWSER_NEWS);
}

static void recall_soon(struct run *r, struct message *m, uint64_t after_us) {
    struct recall_call *p = hw_malloc(sizeof(*p));
    *p = (struct recall_call){r, m, 0};
    r->open_recalls++;
    world_at(&r->world, after_us, recall, p);
}

void recall_some(struct run *r, struct message *m) {
    if (r->has_variety && !r->parking && can_be_recalled(m) && m->recall_asked_us == 0 &&
        world_chance(&r->world, RECALLED_PERMILLE))
        recall_soon(r, m, world_between(&r->world, 0, RECALL_AFTER_US));
}

void recall_from(struct run *r, int first) {
    for (int n = first; n < r->message_count; n++)
        if (can_be_recalled(&r->messages[n]) && r->messages[n].accepted_us != 0)
            recall_soon(r, &r->messages[n], 0);
}

bool recalls_are_over(const struct run *r) {
    return r->open_recalls == 0;
}

void recall_check_handled(const struct client *c, const struct message *m) {
    struct run *r = c->run;
    if (m->recalled_us == 0 || r->store_lost)
        return;
    bool is_calm =
        m->recalled_us >= r->fire_ends_us && m->recalled_us >= r->calm_us && r->calm_us != 0;
    if (c->login_us > m->recalled_us)
        violation(r, "client%d handled %s, which was recalled before it logged in", c->number,
                  m->payload);
    else if (is_calm && r->world.now_us > m->recalled_us + ON_ITS_WAY_US)
        violation(r, "client%d handled %s long after it was recalled", c->number, m->payload);
}
