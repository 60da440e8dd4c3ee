// Both register stores answer the same: random logins, drops, confirmations and questions are put
// to each, and every answer is compared. Generations are each store's own, so that a generation is
// told by the step that gave it.
#include "register_bed.h"

enum { STEPS = 3000, DEVICES = 7, GIVEN_MAX = 8192, BEDS = 2 };

struct pair {
    struct bed *bed[BEDS];
    struct rng rng;
    uint64_t given[BEDS][GIVEN_MAX]; // generations, by the step that gave them
    unsigned device_of[GIVEN_MAX];
    uint64_t run_of[GIVEN_MAX], slot_of[GIVEN_MAX];
    unsigned steps;
    char text[BEDS][8192];
};

static unsigned draw(struct pair *t, unsigned bound) {
    return (unsigned)rng_below(&t->rng, bound);
}

static void HW_PRINTF(3, 4) say(struct pair *t, int which, const char *format, ...) {
    size_t len = strlen(t->text[which]);
    va_list args;
    va_start(args, format);
    vsnprintf(t->text[which] + len, sizeof(t->text[which]) - len, format, args);
    va_end(args);
}

// The step that gave a device this generation; they rise, so the last one that fits is it.
static int step_of(const struct pair *t, int which, unsigned device, uint64_t generation) {
    for (unsigned i = t->steps; i-- > 0;)
        if (t->device_of[i] == device && t->given[which][i] == generation)
            return (int)i;
    return -1;
}

static unsigned number_of_device(const char *device) {
    return (unsigned)strtoul(device + 1, NULL, 10);
}

static void say_row(struct pair *t, int which, const Hawser__Internal__SessionRow *r) {
    say(t, which, " %s:%d by %d in %llu/%llu %s %s;", r->device, r->online,
        step_of(t, which, number_of_device(r->device), r->generation),
        (unsigned long long)r->incarnation, (unsigned long long)r->slot, r->room, r->address);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_device(const void *a, const void *b) {
    const Hawser__Internal__SessionRow *const *ra = a, *const *rb = b;
    return strcmp((*ra)->device, (*rb)->device);
}

static void name_of(char name[8], unsigned device) {
    snprintf(name, 8, "d%u", device);
}

static void put_login(struct pair *t, int which, unsigned device, bool is_late) {
    char name[8];
    name_of(name, device);
    const Hawser__Internal__LoginReply *r = ROW_OF(
        t->bed[which], name, .incarnation = t->run_of[t->steps], .slot = t->slot_of[t->steps],
        .devices_max = 4, .asked_ago_ms = is_late ? 1000000000 : 0);
    say(t, which, "login %u %d:", r->refused, r->devices_full);
    if (r->replaced)
        say_row(t, which, r->replaced);
    if (r->n_device > 0)
        qsort(r->device, r->n_device, sizeof(r->device[0]), by_text);
    for (size_t i = 0; i < r->n_device; i++)
        say(t, which, " %s", r->device[i]);
    t->given[which][t->steps] = r->generation;
}

static void put_confirm(struct pair *t, int which, unsigned of, bool is_late) {
    Hawser__Internal__ConfirmRequest q = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    char name[8];
    name_of(name, t->device_of[of]);
    q.product = 1;
    q.user = (char *)"u";
    q.device = name;
    q.room = (char *)"room-b";
    q.address = (char *)"a";
    q.incarnation = t->run_of[of];
    q.slot = t->slot_of[of];
    q.generation = t->given[which][of];
    q.since_ms = 5;
    q.devices_max = 4;
    q.not_after_ms = is_late;
    const Hawser__Internal__ConfirmReply *r = ask(t->bed[which], &q.base);
    t->given[which][t->steps] = r->generation;
    say(t, which, "confirm %d:", (int)r->outcome);
    if (r->replaced)
        say_row(t, which, r->replaced);
}

static void say_all(struct pair *t, int which) {
    const Hawser__Internal__FindReply *f = find(t->bed[which]);
    if (f->n_row > 0)
        qsort(f->row, f->n_row, sizeof(f->row[0]), by_device);
    for (size_t i = 0; i < f->n_row; i++)
        say_row(t, which, f->row[i]);
    say(t, which, " %llu online", (unsigned long long)online(t->bed[which]));
}

// Each has a millisecond of its own, so that who was unseen longest does not depend on the moment.
static void do_step(struct pair *t) {
    unsigned dice = draw(t, 100), device = draw(t, DEVICES);
    unsigned of = t->steps > 0 ? t->steps - 1 - draw(t, t->steps < 30 ? t->steps : 30) : 0;
    bool is_confirm = t->steps > 0 && dice<30, is_drop = t->steps> 0 && dice >= 80;
    t->device_of[t->steps] = is_confirm ? t->device_of[of] : device;
    t->run_of[t->steps] = is_confirm ? t->run_of[of] : draw(t, 2) ? 11 : 22;
    t->slot_of[t->steps] = is_confirm ? t->slot_of[of] : (UINT64_C(1) << 63) + t->steps;
    for (int i = 0; i < BEDS; i++) {
        char name[8];
        name_of(name, t->device_of[of]);
        t->text[i][0] = '\0';
        uint64_t end = loop_now_ms(t->bed[i]->loop) + 2;
        while (loop_now_ms(t->bed[i]->loop) < end)
            loop_step(t->bed[i]->loop, 1);
        if (is_confirm)
            put_confirm(t, i, of, dice < 8);
        else if (is_drop)
            say(t, i, "drop %d:", drop_of(t->bed[i], name, t->run_of[of], t->given[i][of]));
        else
            put_login(t, i, device, dice == 79);
    }
    t->steps++;
    for (int i = 0; i < BEDS; i++)
        say_all(t, i);
    ck_assert_msg(strcmp(t->text[0], t->text[1]) == 0, "step %u:\n%s\n%s", t->steps, t->text[0],
                  t->text[1]);
}

START_TEST(test_same) {
    static struct pair t;
    for (int i = 0; i < BEDS; i++) {
        t.bed[i] = bed_new(i == 1);
        rooms_live(t.bed[i]);
    }
    uint64_t seed = os_random(t.bed[0]->os);
    printf("seed %llu\n", (unsigned long long)seed); // of a failure
    fflush(stdout);
    rng_init(&t.rng, seed);
    while (t.steps < STEPS)
        do_step(&t);
    for (int i = 0; i < BEDS; i++)
        bed_free(t.bed[i]);
}
END_TEST

RUN_TESTS("register_same", test_same)
