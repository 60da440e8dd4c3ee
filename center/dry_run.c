#include "dry_run.h"

#include "retry.h"

enum { FINDS_AT_ONCE = 256 };

struct dry_run {
    struct center *center;
    uint32_t product;
    struct push push; // owned
    struct sender sender;
    struct sent result;
    size_t asked, answered;
    bool failed;
};

struct dry_find { // of one target
    struct dry_run *run;
    const struct target *target;
};

static void dry_run_over(struct dry_run *d) {
    if (d->failed)
        problem_set(&d->result.problem, PROBLEM_store_unavailable, NULL,
                    "no register or saver can be asked");
    d->sender.done(d->sender.arg, &d->result);
    push_deinit(&d->push);
    free(d);
}

// --- who is there

static bool is_target(const struct target *t, const char *device) {
    for (size_t i = 0; i < t->device_count; i++)
        if (strcmp(t->devices[i], device) == 0)
            return true;
    return t->device_count == 0;
}

static void find_more(struct dry_run *d);

static void on_dry_found(void *arg, int error, const Hawser__Internal__FindReply *reply) {
    struct dry_find *f = arg;
    struct dry_run *d = f->run;
    bool is_online = false;
    (void)error;
    for (size_t i = 0; reply && i < reply->n_row; i++)
        is_online =
            is_online || (reply->row[i]->online && is_target(f->target, reply->row[i]->device));
    d->result.online += is_online;
    d->failed = d->failed || !reply;
    d->answered++;
    free(f);
    if (d->answered == d->asked && (d->failed || d->asked == d->push.to.count))
        dry_run_over(d);
    else if (!d->failed)
        find_more(d);
}

// None completes before its call returns.
static void find_more(struct dry_run *d) {
    while (d->asked < d->push.to.count && d->asked - d->answered < FINDS_AT_ONCE) {
        Hawser__Internal__FindRequest find = HAWSER__INTERNAL__FIND_REQUEST__INIT;
        struct dry_find *f = hw_malloc(sizeof(*f));
        *f = (struct dry_find){d, &d->push.to.list[d->asked++]};
        find.product = d->product;
        find.user = (char *)(uintptr_t)f->target->user;
        register_find(register_of(d->center->cluster), &find, on_dry_found, f);
    }
}

static void on_dry_online(void *arg, int error, const Hawser__Internal__OnlineReply *reply) {
    struct dry_run *d = arg;
    (void)error;
    d->failed = !reply;
    d->result.online = reply ? reply->sessions : 0;
    dry_run_over(d);
}

// Whom tags reach only the rooms know.
static void find_targets(struct dry_run *d) {
    Hawser__Internal__OnlineRequest online = HAWSER__INTERNAL__ONLINE_REQUEST__INIT;
    d->result.targets = d->push.to.count;
    d->result.has_online = d->push.to.kind != TO_TAGS;
    online.product = d->product;
    if (d->push.to.kind == TO_TAGS)
        dry_run_over(d);
    else if (d->push.to.kind == TO_ALL)
        register_online(register_of(d->center->cluster), &online, on_dry_online, d);
    else
        find_more(d);
}

// --- whether its class is served

static void on_dry_served(void *arg, int error, const Hawser__Internal__OutcomesReply *reply) {
    struct dry_run *d = arg;
    (void)error;
    d->failed = !reply;
    if (reply && reply->unserved) {
        const struct verdict v =
            verdict_of_append(HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_UNSERVED, false);
        problem_set(&d->result.problem, v.problem, v.field, "%s", v.why);
    }
    if (!reply || reply->unserved)
        dry_run_over(d);
    else
        find_targets(d);
}

void dry_run(struct center *c, const struct product *product, struct push *push,
             struct sender sender) {
    struct dry_run *d = hw_calloc(1, sizeof(*d));
    Hawser__Internal__OutcomesRequest served = HAWSER__INTERNAL__OUTCOMES_REQUEST__INIT;
    d->center = c;
    d->product = product->number;
    d->push = *push;
    *push = (struct push){0};
    d->sender = sender;
    d->result.is_dry = true;
    served.product = d->product;
    if (d->push.class == PUSH_DURABLE)
        saver_outcomes(saver_of_product(c->cluster, d->product), &served, on_dry_served, d);
    else
        find_targets(d);
}
