// The queue of what sessions have written down: in order, at the end of the iteration or when
// somebody settles it, and never one item within another.
#include "suite.h"

#include "effects.h"
#include "os.h"

static struct os *os;
static struct loop *loop;
static struct effects queue;
static uint32_t seen[8192];
static size_t seen_count;
static int depth, runs;

static void add(uint32_t slot) {
    effects_add(&queue, &(struct effects_item){.slot = slot});
}

// Slot 100 and up: what is carried out leads to a further step, which settles nothing.
static void run(struct effects *q) {
    struct effects_item item;
    ck_assert_int_eq(depth, 0);
    depth++;
    runs++;
    q->is_running = true;
    while (effects_take(q, &item)) {
        seen[seen_count++] = item.slot;
        if (item.slot >= 100)
            add(item.slot - 100);
        effects_settle(q);
    }
    q->is_running = false;
    depth--;
}

static void begin(void) {
    os = os_new();
    loop = loop_new(os);
    seen_count = 0;
    runs = 0;
    effects_init(&queue, loop, run);
}

static void end(void) {
    effects_deinit(&queue);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

START_TEST(test_at_the_end_of_the_iteration) {
    begin();
    add(101);
    add(2);
    ck_assert_uint_eq(seen_count, 0); // a step returns before anything happens
    loop_step(loop, 0);
    ck_assert_uint_eq(seen_count, 3);
    ck_assert(seen[0] == 101 && seen[1] == 2 && seen[2] == 1);
    loop_step(loop, 0);
    ck_assert_int_eq(runs, 1); // what a run adds has its turn in it
    end();
}
END_TEST

START_TEST(test_settled_before_a_hot_path) {
    begin();
    effects_settle(&queue);
    ck_assert_int_eq(runs, 0); // nothing is there
    add(1);
    effects_settle(&queue);
    ck_assert_uint_eq(seen_count, 1);
    add(2);
    loop_step(loop, 0);
    ck_assert_uint_eq(seen_count, 2);
    end();
}
END_TEST

// Connections to free and blocks to ask for need a run, though no session wrote anything down.
START_TEST(test_woken_though_empty) {
    begin();
    effects_wake(&queue);
    loop_step(loop, 0);
    ck_assert_int_eq(runs, 1);
    end();
}
END_TEST

// After a burst, which a product's end is, the memory goes back.
START_TEST(test_memory_of_a_burst) {
    begin();
    for (uint32_t i = 0; i < 5000; i++)
        add(i % 100);
    loop_step(loop, 0);
    ck_assert_uint_eq(seen_count, 5000);
    ck_assert_uint_eq(queue.capacity, 0);
    add(1);
    loop_step(loop, 0);
    ck_assert_uint_eq(seen_count, 5001);
    end();
}
END_TEST

RUN_TESTS("effects", test_at_the_end_of_the_iteration, test_settled_before_a_hot_path,
          test_woken_though_empty, test_memory_of_a_burst)
