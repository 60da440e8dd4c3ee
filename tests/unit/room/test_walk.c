// A broadcast's walk over a product's sessions, by where it goes: who visits whom is played here,
// what is sent is not. Sessions come and go, and broadcasts come, at any moment of it.
#include "suite.h"

#include "room_internal.h"

enum { MAX = 12, STEPS = 40 };

static struct os *os;
static struct room room;
static struct room_product product;
static struct broadcasts *log_;
static struct room_binding bindings[MAX];
static bool is_in[MAX];
static unsigned head, has[MAX], visits;

static void begin(void) {
    os = os_new();
    room = (struct room){.loop = loop_new(os)};
    product = (struct room_product){.room = &room};
    log_ = &product.log[0];
    log_->product = &product;
    memset(bindings, 0, sizeof(bindings));
    memset(is_in, 0, sizeof(is_in));
    memset(has, 0, sizeof(has));
    head = visits = 0;
}

static void end(void) {
    job_stop(&log_->walk);
    ck_assert_int_eq(loop_free(room.loop), 0);
    os_free(os);
}

// A login has all that is there.
static void enter(unsigned i) {
    bindings[i].product = &product;
    product_enter(&bindings[i]);
    is_in[i] = true;
    has[i] = head;
}

static void leave(unsigned i) {
    product_leave(&bindings[i]);
    is_in[i] = false;
}

static void broadcast(void) {
    head++;
    news_walk(log_);
}

// false: the walk is over.
static bool visit(void) {
    struct room_binding *b = log_->walk_at;
    if (!b) {
        log_->walk_running = false;
        job_stop(&log_->walk);
        return false;
    }
    broadcasts_walk_on(log_, b);
    ck_assert(is_in[b - bindings]);
    has[b - bindings] = head;
    visits++;
    return true;
}

static void walk_to_its_end(void) {
    while (visit())
        ck_assert_uint_le(visits, 10 * MAX * STEPS);
    for (unsigned i = 0; i < MAX; i++)
        ck_assert(!is_in[i] || has[i] == head);
}

// Three have been visited when another comes, and the fourth since.
static void begin_among_ten(void) {
    begin();
    for (unsigned i = 0; i < 10; i++)
        enter(i);
    broadcast();
    for (int i = 0; i < 3; i++)
        visit();
    broadcast();
    visit();
}

// Whoever has passed when the latest comes, and nobody else, is visited once more.
START_TEST(test_no_more_visits_than_it_takes) {
    begin_among_ten();
    broadcast(); // four have passed
    walk_to_its_end();
    ck_assert_uint_eq(visits, 14);
    broadcast();
    for (int i = 0; i < 5; i++)
        visit();
    broadcast();
    for (int i = 0; i < 7; i++)
        visit(); // it is back, behind two
    broadcast();
    walk_to_its_end();
    ck_assert_uint_eq(visits, 14 + 5 + 7 + 10);
    end();
}
END_TEST

// The session up to which it goes leaves: it goes up to the next one.
START_TEST(test_the_last_one_leaves) {
    begin_among_ten();
    leave(3);
    walk_to_its_end();
    ck_assert_uint_eq(visits, 3 + 7 + 3);
    end();
}
END_TEST

static void any_step(struct rng *rng) {
    unsigned i = (unsigned)rng_below(rng, MAX);
    switch (rng_below(rng, 4)) {
    case 0:
        broadcast();
        break;
    case 1:
        if (is_in[i])
            leave(i);
        else
            enter(i);
        break;
    default:
        (void)visit();
    }
}

START_TEST(test_nobody_is_left_out) {
    struct rng rng;
    rng_init(&rng, 7);
    for (int round = 0; round < 3000; round++) {
        begin();
        for (int step = 0; step < STEPS; step++)
            any_step(&rng);
        walk_to_its_end();
        end();
    }
}
END_TEST

RUN_TESTS("walk", test_no_more_visits_than_it_takes, test_the_last_one_leaves,
          test_nobody_is_left_out)
