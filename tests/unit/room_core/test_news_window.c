// What readers of a product's news get from the window and the blocks before it, as stories in
// lines; and that no order of broadcasts, reads, answers, lost answers and new logs gives a reader
// a wrong message, leaves one out, or lets one starve.
#include "news_world.h"

START_TEST(test_the_latest) {
    setup();
    READS(0, "none");
    broadcasts(3);
    READS(0, "1.1 1.2 1.3");
    READS(2, "1.3");
    READS(3, "none");
    broadcasts(2); // one more than it holds: the older half goes
    ck_assert_uint_eq(window.base, 2);
    READS(2, "1.3 1.4 1.5");
    ck_assert(!news_window_takes(&window, 5, 5)); // known
    ck_assert(!news_window_takes(&window, 7, 7)); // a hole
    ck_assert(news_window_takes(&window, 6, 7));
    ASKED("");
    teardown();
}
END_TEST

START_TEST(test_a_window_of_bytes) {
    setup();
    window.limits = (struct news_window_limits){.bytes = 12, .entries = 100};
    broadcasts(4); // four bytes each
    ck_assert_uint_eq(window.base, 2);
    READS(2, "1.3 1.4");
    size_t bytes = news_window_bytes(&window);
    ck_assert_uint_lt(bytes, 2000); // and no megabyte for a few messages
    another_log();
    ck_assert_uint_eq(news_window_bytes(&window), 0);
    teardown();
}
END_TEST

START_TEST(test_a_block_is_shared) {
    setup();
    begin_at(4);
    READS_AS(1, 0, "later");
    READS_AS(2, 1, "later");
    READS_AS(3, 3, "later");
    ASKED("0+4");
    ck_assert(answer(false));
    TOLD("1 2 3");
    READS(0, "1.1 1.2 1.3 1.4");
    READS(3, "1.4");
    ASKED("");
    teardown();
}
END_TEST

// Read when the log had three; at three the window has passed it.
START_TEST(test_an_old_block_hides_nothing) {
    setup();
    begin_at(3);
    READS(0, "later");
    ASKED("0+4");
    broadcasts(1);
    ck_assert(answer(false));
    READS(0, "1.1 1.2 1.3");
    broadcasts(6);
    ck_assert_uint_gt(window.base, 4);
    READS(3, "later");
    ASKED("3+1");
    ck_assert(answer(false));
    READS(3, "1.4");
    teardown();
}
END_TEST

START_TEST(test_another_log) {
    setup();
    begin_at(12);
    READS_AS(1, 0, "later");
    ASKED("0+4");
    ck_assert(answer(false));
    TOLD("1");
    READS(0, "1.1 1.2 1.3 1.4");
    READS_AS(2, 5, "later");
    READS_AS(3, 9, "later");
    ASKED("4+4 8+4");
    another_log();
    TOLD("2 3");
    begin_at(12);
    READS_AS(2, 5, "later"); // the same place in the new log
    ASKED("4+4 8+4 4+4");
    ck_assert(!answer(false)); // too late
    ck_assert(!answer(false));
    TOLD("");
    ck_assert_uint_eq(room.too_late, 2);
    ck_assert(answer(false));
    TOLD("2");
    READS(4, "2.5 2.6 2.8 2.9");
    READS(0, "later");
    teardown();
}
END_TEST

// Large messages: a block ends by bytes, before it comes to where the reader is.
START_TEST(test_large_messages) {
    setup();
    begin_at(5);
    answer_max = 1;
    READS(2, "later");
    ASKED("0+4");
    ck_assert(answer(false));
    READS(2, "later");
    ASKED("2+2");
    ck_assert(answer(false));
    READS(2, "1.3");
    ASKED("3+1"); // ahead
    ck_assert(answer(false));
    READS(3, "1.4");
    teardown();
}
END_TEST

START_TEST(test_the_next_is_asked_for_ahead) {
    setup();
    begin_at(20);
    READS(0, "later");
    ASKED("0+4");
    ck_assert(answer(false));
    READS(0, "1.1 1.2 1.3 1.4");
    ASKED("4+4");
    READS(2, "1.3 1.4");
    ASKED("4+4"); // once
    ck_assert(answer(false));
    TOLD("1"); // the first one
    READS(4, "1.5 1.6 1.8 1.9");
    ASKED("9+3"); // to the next place where blocks begin
    teardown();
}
END_TEST

START_TEST(test_a_bound_and_who_goes_first) {
    setup();
    begin_at(20);
    for (uint64_t at = 0; at < 20; at += 4)
        READS_AS(at, at, "later");
    ASKED("0+4 4+4"); // two at once, the others in their order
    ck_assert(answer(false));
    ck_assert(answer(false));
    TOLD("0 4");
    ASKED("8+4 12+4");
    ck_assert(answer(false));
    ck_assert(answer(false));
    ck_assert_uint_le(window.older.bytes, limits.product_bytes);
    ASKED("16+4");
    ck_assert(answer(false));
    TOLD("8 12 16");
    ck_assert_uint_gt(room.given_back, 0);
    READS(16, "1.17 1.18 1.19 1.20"); // the latest are there
    READS(0, "later");                // the one unused longest went
    teardown();
}
END_TEST

START_TEST(test_lost_answers) {
    setup();
    begin_at(8);
    READS_AS(7, 0, "later");
    ASKED("0+4");
    ck_assert(!answer(true));
    TOLD("7");
    ASKED("");
    READS_AS(7, 0, "later");
    ASKED("0+4");
    ck_assert(answer(false));
    TOLD("7");
    teardown();
}
END_TEST

START_TEST(test_what_is_idle_goes) {
    setup();
    begin_at(4);
    READS(0, "later");
    ASKED("0+4");
    ck_assert(answer(false));
    now += limits.idle_ms - 1;
    news_blocks_tick(&window.older, now);
    ck_assert_uint_gt(room.bytes, 0);
    READS(0, "1.1 1.2 1.3 1.4");
    now += limits.idle_ms;
    news_blocks_tick(&window.older, now);
    ck_assert_uint_eq(room.bytes, 0);
    teardown();
}
END_TEST

// A product whose readers want much does not make another's wait for all of that.
START_TEST(test_products_take_turns) {
    struct news_window other;
    setup();
    begin_at(40);
    news_window_init(&other, &window_limits, &room);
    news_window_start(&other, 1, 40, NULL);
    struct news_range range;
    for (uint64_t at = 0; at < 40; at += 4)
        READS_AS(at, at, "later");
    ck_assert_int_eq(news_window_find(&other, &(struct news_seek){36, 9, now}, &range), NEWS_LATER);
    ASKED("0+4 36+4 4+4");
    ck_assert_ptr_eq(question[1].ask.of, &other.older);
    news_window_deinit(&other, NULL);
    teardown();
}
END_TEST

// The log's answer counts as far as it goes on without a hole.
START_TEST(test_an_answer_with_a_hole) {
    setup();
    begin_at(8);
    READS(0, "later");
    ASKED("0+4");
    struct news_block *b = news_blocks_answer(&window.older, question[0].ask.ticket);
    struct news_entry one = {.first = 1, .last = 1, .len = 4};
    struct news_entry three = {.first = 3, .last = 3, .len = 4};
    struct news_entry backwards = {.first = 2, .last = 1, .len = 4};
    ck_assert(!news_block_add(b, &three, (const uint8_t *)"1.3 "));
    ck_assert(news_block_add(b, &one, (const uint8_t *)"1.1 "));
    ck_assert(!news_block_add(b, &one, (const uint8_t *)"1.1 "));
    ck_assert(!news_block_add(b, &three, (const uint8_t *)"1.3 "));
    ck_assert(!news_block_add(b, &backwards, (const uint8_t *)"1.2 "));
    ck_assert(news_block_settle(b, now, &told));
    READS(0, "1.1");
    teardown();
}
END_TEST

// --- against an oracle

enum { READERS_MAX = 8 };

struct reader {
    uint64_t epoch, at;
    bool waits;
};

static struct reader reader[READERS_MAX];
static size_t readers;

static void wake(void) {
    for (size_t i = 0; i < told.count; i++)
        reader[told.list[i]].waits = false;
    handles_deinit(&told);
}

// One entry goes to it: the next one of the log, and no other.
static void step_reader(uint64_t number) {
    struct reader *r = &reader[number];
    struct news_range range;
    if (r->waits)
        return;
    if (r->epoch != window.epoch)
        *r = (struct reader){.epoch = window.epoch, .at = window.base};
    switch (news_window_find(&window, &(struct news_seek){r->at, number, now}, &range)) {
    case NEWS_NONE:
        CHECK(r->at == window.head);
        break;
    case NEWS_LATER:
        CHECK(r->at < window.base);
        r->waits = true;
        break;
    case NEWS_HERE: {
        struct news_entry e;
        char frame[32];
        CHECK(range.entry < range.end);
        uint64_t last = entry_make(window.epoch, r->at + 1, &e, frame);
        CHECK(range.entry->first == r->at + 1);
        CHECK(range.entry->last == last);
        CHECK(memcmp(range.frames + range.entry->offset, frame, e.len) == 0);
        r->at = last;
        break;
    }
    }
}

enum step { BROADCAST, READ_A, READ_B, ASK, ANSWER, LOSE, NEW_LOG, STEPS };

static void do_step(enum step step) {
    now += 100;
    switch (step) {
    case BROADCAST:
        broadcast(true);
        return;
    case READ_A:
        step_reader(0);
        return;
    case READ_B:
        step_reader(readers - 1);
        return;
    case ASK:
        ask_all();
        return;
    case ANSWER:
    case LOSE:
        if (questions > 0)
            (void)answer(step == LOSE);
        wake();
        return;
    case NEW_LOG:
        another_log();
        wake();
        return;
    case STEPS:
        return;
    }
}

static void start_readers(size_t count, uint64_t head) {
    begin_at(head);
    readers = count;
    for (size_t i = 0; i < count; i++)
        reader[i] =
            (struct reader){.epoch = 1, .at = i * head / count + (i * head / count == GAP_AT)};
}

static bool all_are_there(void) {
    for (size_t i = 0; i < readers; i++)
        if (reader[i].epoch != window.epoch || reader[i].at < window.head)
            return false;
    return true;
}

// From here on everything is answered: in so many rounds as there are messages, and twice as many
// more for blocks that were of no use, everybody is at the end, while broadcasts go on.
static void let_all_arrive(void) {
    uint64_t rounds = 4 * (log_head + 10) * readers;
    for (uint64_t n = 0; !all_are_there(); n++) {
        CHECK(n < rounds);
        for (size_t i = 0; i < readers; i++)
            step_reader(i);
        if (n < 10)
            broadcast(true);
        ask_all();
        while (questions > 0)
            (void)answer(false);
        wake();
    }
}

static uint64_t start_head;
static uint32_t start_answer_max;

static void try_all_orders(int depth, enum step steps[], int done) {
    if (done < depth) {
        for (int next = 0; next < STEPS; next++) {
            steps[done] = (enum step)next;
            try_all_orders(depth, steps, done + 1);
        }
        return;
    }
    setup();
    start_readers(2, start_head);
    answer_max = start_answer_max;
    for (int i = 0; i < depth; i++)
        do_step(steps[i]);
    let_all_arrive();
    teardown();
}

START_TEST(test_all_orders_of_five_steps) {
    enum step steps[5];
    for (start_head = 0; start_head <= 9; start_head += 3)
        for (start_answer_max = 1; start_answer_max <= GRID; start_answer_max += GRID - 1)
            try_all_orders(5, steps, 0);
}
END_TEST

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

START_TEST(test_long_random_orders) {
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        uint64_t state = seed;
        setup();
        start_readers(2 + seed % (READERS_MAX - 1), seed % 60);
        answer_max = 1 + (uint32_t)(seed % GRID);
        for (int i = 0; i < 150; i++) {
            uint32_t r = next_random(&state);
            if (r % 3 == 0)
                step_reader(r / 3 % readers);
            else if (r % 101 != 0)
                do_step((enum step)(r / 7 % NEW_LOG));
            else
                do_step(NEW_LOG);
            if (r % 50 == 0)
                news_blocks_tick(&window.older, now);
        }
        let_all_arrive();
        teardown();
    }
}
END_TEST

RUN_TESTS("news_window", test_the_latest, test_a_window_of_bytes, test_a_block_is_shared,
          test_an_old_block_hides_nothing, test_another_log, test_large_messages,
          test_the_next_is_asked_for_ahead, test_a_bound_and_who_goes_first, test_lost_answers,
          test_what_is_idle_goes, test_products_take_turns, test_an_answer_with_a_hole,
          test_all_orders_of_five_steps, test_long_random_orders)
