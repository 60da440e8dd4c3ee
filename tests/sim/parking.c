// What an application cannot take: in a calm cluster, so that each attempt is known. One crashes
// over a message until it is parked; one never has it, however often it is sent; one loses its
// place each time; of two, another device has handled the message before, or comes to it
// afterwards. Then dead letters are sent anew.
#include "buf.h"
#include "run.h"
#include "saver.pb-c.h"

enum {
    ATTEMPTS = 5, // and so long since the first of them
    LEAST_US = 10000000,
    SLACK_US = 1000000, // of the network and the store
    AGAIN_US = 1500000,
    CRASH_US = 400000,      // so much later: all that was sent behind the message has come
    TAKEOVER_US = 13000000, // more than five a minute are refused
    UNHAD_ROUNDS = 8,
    UNHAD_US = 300000,
    PHASE_US = 90000000,
    ACKED_US = 12000000, // what came before is acknowledged by then, by each device
    AT_ONCE_US = 5000000,
    SECOND_DEVICE = 40, // the number of a user's second device behind that of the first
    PATH_MAX_CHARS = 64,
};

enum trial_kind { CRASHES, NEVER_HAS, LOSES_ITS_PLACE, OTHER_COMES_LATER, OTHER_WAS_FIRST, TRIALS };
static const int devices[TRIALS] = {12, 14, FIRST_TWIN, 2, 4};

struct trial {
    struct run *run;
    enum trial_kind kind;
    struct client *client; // the first installation of its device
    int message;           // -1: it is not pushed yet
    int attempts;
    uint64_t first_us, last_us; // attempts
    bool is_told, is_over;      // of the gap; the application takes it from now on
};

struct parking {
    struct trial trials[TRIALS];
    int answers; // of calls that send anew
};

static struct trial *trial_of(const struct client *c) {
    struct parking *p = c->run->parking;
    for (int i = 0; p && i < TRIALS; i++)
        if (p->trials[i].client->number == c->number)
            return &p->trials[i];
    return NULL;
}

// --- attempts

static void attempt_now(struct trial *t) {
    t->last_us = t->run->world.now_us;
    if (t->attempts++ == 0)
        t->first_us = t->last_us;
}

static void boot_again(void *arg) {
    client_boot(arg);
}

static void crash(void *arg) {
    struct trial *t = arg;
    if (t->kind != NEVER_HAS)
        attempt_now(t);
    client_halt(t->client, true);
    world_at(&t->run->world, AGAIN_US, boot_again, t->client);
}

static void lose_place(void *arg) {
    struct trial *t = arg;
    struct client *first = t->client, *second = first->rival;
    bool has_it = first->sdk && !first->is_out[first->bindings[0].product];
    if (t->is_told)
        return;
    attempt_now(t);
    client_take_over(has_it ? second : first);
}

// Whether it was to be parked by now: the saver counts from when it hears of the first. Whoever
// took the place may read the log before the saver has heard of the one that lost it.
static bool was_due(const struct trial *t) {
    int attempts = t->kind == LOSES_ITS_PLACE ? ATTEMPTS + 1 : ATTEMPTS;
    return t->attempts >= attempts && t->last_us > t->first_us + LEAST_US + SLACK_US;
}

bool parking_refuses(struct client *c, int message) {
    struct trial *t = trial_of(c);
    struct world *w = &c->run->world;
    if (!t || t->message != message || t->is_over)
        return false;
    if (t->kind == NEVER_HAS) {
        t->is_over = true; // before all rounds where it came together with the Welcome
        return false;
    }
    if (was_due(t))
        violation(c->run, "%s has m%d again after %d attempts", c->device, message, t->attempts);
    if (t->kind == LOSES_ITS_PLACE)
        world_at(w, TAKEOVER_US, lose_place, t);
    else
        world_at(w, world_between(w, CRASH_US / 2, CRASH_US), crash, t);
    return true;
}

bool parking_is_due(const struct client *c, const struct hawser_gap *g) {
    struct trial *t = trial_of(c);
    uint64_t now = c->run->world.now_us;
    if (!t || t->message < 0 || t->is_over || g->stream != HAWSER_INBOX || g->first != g->last)
        return false;
    if (t->kind == NEVER_HAS || t->attempts < ATTEMPTS || now < t->first_us + LEAST_US) {
        violation(c->run, "%s: m%d is parked after %d attempts in %llu ms", c->device, t->message,
                  t->attempts, (unsigned long long)(now - t->first_us) / 1000);
        return false;
    }
    t->is_told = true;
    return true;
}

bool parking_excuses(const struct client *c, int message) {
    const struct trial *t = trial_of(c);
    return t && t->message == message && t->is_told;
}

// One that never has it hears no more from its room than that it is bound.
void parking_bound(struct client *c) {
    struct trial *t = trial_of(c);
    struct world *w = &c->run->world;
    if (!t || t->kind != NEVER_HAS || t->message < 0 || t->attempts >= UNHAD_ROUNDS)
        return;
    struct daemon_slot *room = inspect_room_of(c->run, c->device);
    if (!room) {
        violation(c->run, "%s is bound nowhere", c->device);
        return;
    }
    t->attempts++;
    world_cut(w, room->node, c->node, w->now_us + UNHAD_US + UNHAD_US / 2);
    world_at(w, UNHAD_US, crash, t);
}

// --- dead letters

static uint64_t letters_of(struct run *r, int user) {
    Hawser__Internal__UserRequest q = HAWSER__INTERNAL__USER_REQUEST__INIT;
    char name[16];
    snprintf(name, sizeof(name), "user%d", user);
    q.product = stores_product(r->stores, "product0");
    q.user = name;
    Hawser__Internal__UserReply *a =
        (Hawser__Internal__UserReply *)stores_ask_saver(r->stores, &q.base);
    uint64_t parked = a->parked;
    hawser__internal__user_reply__free_unpacked(a, NULL);
    return parked;
}

static void expect_letters(const struct trial *t, uint64_t count) {
    uint64_t letters = letters_of(t->run, t->client->user);
    if (letters != count)
        violation(t->run, "user%d has %llu dead letters, not %llu", t->client->user,
                  (unsigned long long)letters, (unsigned long long)count);
}

static void on_anew(void *arg, int status, const char *body, size_t len) {
    struct run *r = arg;
    if (status != 200 || memmem(body, len, "\"code\"", strlen("\"code\"")))
        violation(r, "dead letters are not sent anew: %d %.*s", status, (int)(len < 60 ? len : 60),
                  body);
    r->parking->answers++;
}

static void send_anew(const struct trial *t) {
    char path[PATH_MAX_CHARS];
    snprintf(path, sizeof(path), "/v1/products/product0/users/user%d/parked/redeliver",
             t->client->user);
    if (!api_call(t->run, "POST", path, NULL, "{}", on_anew, t->run))
        violation(t->run, "no center is there at the end");
}

static bool device_handled(const struct trial *t) {
    const struct client *c = t->client;
    return was_handled(&c->bindings[0], t->message) ||
           (c->rival && was_handled(&c->rival->bindings[0], t->message));
}

static bool are_anew(struct run *r) {
    struct parking *p = r->parking;
    return p->answers == 4 && device_handled(&p->trials[CRASHES]) &&
           device_handled(&p->trials[LOSES_ITS_PLACE]) &&
           letters_of(r, p->trials[CRASHES].client->user) == 0 &&
           letters_of(r, p->trials[LOSES_ITS_PLACE].client->user) == 0;
}

// Each twice at once, at any center.
static void check_sent_anew(struct run *r) {
    static const enum trial_kind kinds[] = {CRASHES, LOSES_ITS_PLACE};
    for (int i = 0; i < 2; i++) {
        r->parking->trials[kinds[i]].is_over = true;
        send_anew(&r->parking->trials[kinds[i]]);
        send_anew(&r->parking->trials[kinds[i]]);
    }
    if (!wait_for(r, AT_ONCE_US, are_anew))
        violation(r, "a dead letter is not sent anew");
    world_run(&r->world, r->world.now_us + AT_ONCE_US); // a second one would come by then
}

// --- the phase

static struct client *second_device(const struct trial *t) {
    return &t->run->clients[t->client->number + SECOND_DEVICE];
}

static bool other_has_it(struct run *r) {
    const struct trial *t = &r->parking->trials[OTHER_COMES_LATER];
    return was_handled(&second_device(t)->bindings[0], t->message) &&
           letters_of(r, t->client->user) == 0;
}

static void check_other_comes(struct run *r) {
    const struct trial *t = &r->parking->trials[OTHER_COMES_LATER];
    expect_letters(t, 1);
    client_boot(second_device(t));
    if (!wait_for(r, AT_ONCE_US, other_has_it))
        violation(r, "what was parked for one device is not handled by another");
}

static void start_trial(struct trial *t) {
    struct run *r = t->run;
    if (t->kind == NEVER_HAS) {
        t->message = r->message_count;
        parking_bound(t->client);
    }
    push_one(r, t->client->bindings[0].product, t->client->user);
    t->message = r->message_count - 1;
}

static bool trials_can_be(const struct run *r) {
    for (int i = 0; i < TRIALS; i++)
        if (!r->clients[devices[i]].sdk && devices[i] != FIRST_TWIN)
            return false;
    return !r->store_lost && r->clients[devices[OTHER_WAS_FIRST] + SECOND_DEVICE].sdk &&
           r->clients[devices[OTHER_COMES_LATER] + SECOND_DEVICE].sdk;
}

static void run_trials(struct run *r) {
    for (int i = 0; i < TRIALS; i++)
        r->parking->trials[i] = (struct trial){
            .run = r, .kind = (enum trial_kind)i, .client = &r->clients[devices[i]], .message = -1};
    stores_park_after(r->stores, LEAST_US / 1000);
    world_run(&r->world, r->world.now_us + ACKED_US);
    client_halt(second_device(&r->parking->trials[OTHER_COMES_LATER]), false);
    for (int i = 0; i < TRIALS; i++)
        start_trial(&r->parking->trials[i]);
    world_run(&r->world, r->world.now_us + PHASE_US);
}

void parking_check(struct run *r) {
    if (r->world.seed % 4 != 1 || !trials_can_be(r))
        return;
    r->parking = hw_calloc(1, sizeof(*r->parking));
    run_trials(r);
    for (int i = 0; i < TRIALS; i++) {
        const struct trial *t = &r->parking->trials[i];
        if (t->kind == NEVER_HAS ? !t->is_over : !t->is_told)
            violation(r, "%s: m%d is not %s at the end", t->client->device, t->message,
                      t->kind == NEVER_HAS ? "there" : "parked");
    }
    expect_letters(&r->parking->trials[OTHER_WAS_FIRST], 0);
    expect_letters(&r->parking->trials[CRASHES], 1);
    expect_letters(&r->parking->trials[LOSES_ITS_PLACE], 1);
    check_other_comes(r);
    check_sent_anew(r);
}
