// How many logins are let in at once, and when others come again; and a storm, played against a
// store that does so many a second and clients that give up.
#include "suite.h"

#include "admission.h"

enum { DEADLINE_MS = 3000 };

static void ask_many(struct admission *a, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        admission_asked(a);
}

START_TEST(test_closed_when_as_many_are_under_way) {
    struct admission a;
    admission_init(&a);
    ask_many(&a, ADMISSION_FIRST - 1);
    ck_assert(admission_lets_in(&a));
    ck_assert(!admission_lets_in(&a)); // it has not asked, but will
    admission_asked(&a);
    admission_all_asked(&a);
    ck_assert(!admission_lets_in(&a));
    admission_answered(&a, 0, 10, true);
    ck_assert(admission_lets_in(&a));
}
END_TEST

// Who hurries asks as many as are left, and the number of them that may be under way may have
// become smaller meanwhile.
START_TEST(test_what_is_left) {
    struct admission a;
    admission_init(&a);
    ck_assert_uint_eq(admission_left(&a), ADMISSION_FIRST);
    ask_many(&a, ADMISSION_FIRST - 3);
    ck_assert_uint_eq(admission_left(&a), 3);
    ask_many(&a, 3);
    ck_assert_uint_eq(admission_left(&a), 0);
    admission_answered(&a, 1000, 2600, true);
    ck_assert_uint_lt(a.at_once, a.under_way);
    ck_assert_uint_eq(admission_left(&a), 0);
}
END_TEST

static const struct row {
    const char *what;
    uint64_t under_way, took_ms;
    bool is_answer;
    uint64_t at_once;
} rows[] = {
    {"in good time", 512, 500, true, 513},
    {"neither soon nor late", 512, 501, true, 512},
    {"the last that is not late", 512, 1500, true, 512},
    {"late", 512, 1501, true, 256},
    {"none", 512, 1, false, 256},
    {"in good time, and half of them are asked for", 256, 1, true, 513},
    {"in good time, but half of them are not asked for", 255, 1, true, 512},
};

START_TEST(test_answers) {
    const struct row *row = &rows[_i];
    struct admission a;
    admission_init(&a);
    ask_many(&a, row->under_way);
    admission_answered(&a, 100000, 100000 + row->took_ms, row->is_answer);
    ck_assert_msg(a.at_once == row->at_once, "%s: %llu", row->what, (unsigned long long)a.at_once);
}
END_TEST

START_TEST(test_half_once_a_second_and_never_none) {
    struct admission a;
    admission_init(&a);
    ask_many(&a, 100);
    admission_answered(&a, 1000, 5000, false);
    admission_answered(&a, 1000, 5999, false);
    ck_assert_uint_eq(a.at_once, ADMISSION_FIRST / 2);
    admission_answered(&a, 1000, 6000, false);
    ck_assert_uint_eq(a.at_once, ADMISSION_FIRST / 4);
    for (uint64_t now_ms = 7000; now_ms < 20000; now_ms += 1000)
        admission_answered(&a, 1000, now_ms, false);
    ck_assert_uint_eq(a.at_once, ADMISSION_MIN);
}
END_TEST

START_TEST(test_each_has_a_time_of_its_own) {
    struct admission a;
    admission_init(&a);
    a.at_once = 50; // in half a second: 10 ms each
    uint32_t before = admission_put_off(&a, 100000);
    ck_assert_uint_eq(before, ADMISSION_WAIT_MIN_MS);
    for (int i = 0; i < 100; i++) {
        uint32_t wait_ms = admission_put_off(&a, 100000);
        ck_assert_uint_eq(wait_ms, before + 10);
        before = wait_ms;
    }
    ck_assert_uint_eq(admission_put_off(&a, 100500), before + 10 - 500);
    ck_assert_uint_eq(admission_put_off(&a, 200000), ADMISSION_WAIT_MIN_MS);
}
END_TEST

// More than have a time before the longest wait ends: none of these times has more than its share.
START_TEST(test_more_than_there_are_times) {
    enum { CLIENTS = 10000, STEP_MS = 500, STEPS = ADMISSION_WAIT_MAX_MS / STEP_MS + 1 };
    uint32_t count[STEPS] = {0};
    struct admission a;
    admission_init(&a);
    a.at_once = 50;
    for (int i = 0; i < CLIENTS; i++)
        count[admission_put_off(&a, 100000) / STEP_MS]++;
    for (int i = 0; i < STEPS; i++)
        ck_assert_uint_le(count[i], CLIENTS / STEPS * 3 / 2);
}
END_TEST

// --- a storm

enum { CLIENTS = 8000, STORM_MS = 30000 }; // one is served in each ms

struct storm {
    struct admission admission;
    uint64_t next_ms[CLIENTS]; // when it comes; 0: asked, or in
    uint64_t queue[STORM_MS * 4], asked_ms[STORM_MS * 4];
    size_t asked, done; // of queue
    size_t in, late;
    bool is_bounded;
};

static void come(struct storm *s, size_t client, uint64_t now_ms) {
    if (s->is_bounded && !admission_lets_in(&s->admission)) {
        s->next_ms[client] = now_ms + admission_put_off(&s->admission, now_ms);
        return;
    }
    ck_assert_uint_lt(s->asked, sizeof(s->queue) / sizeof(s->queue[0]));
    admission_asked(&s->admission);
    admission_all_asked(&s->admission);
    s->queue[s->asked] = client;
    s->asked_ms[s->asked++] = now_ms;
    s->next_ms[client] = 0;
}

// One that was answered too late has given up, and comes again.
static void serve(struct storm *s, uint64_t now_ms) {
    if (s->done == s->asked)
        return;
    uint64_t asked_ms = s->asked_ms[s->done], client = s->queue[s->done++];
    bool in_time = now_ms - asked_ms < DEADLINE_MS;
    admission_answered(&s->admission, asked_ms, now_ms, in_time);
    s->in += in_time ? 1 : 0;
    s->late += in_time ? 0 : 1;
    if (!in_time)
        s->next_ms[client] = now_ms + ADMISSION_WAIT_MIN_MS;
}

static uint64_t storm_ms(struct storm *s) {
    uint64_t now_ms = 1;
    admission_init(&s->admission);
    for (size_t i = 0; i < CLIENTS; i++)
        s->next_ms[i] = 1;
    for (; s->in < CLIENTS && now_ms < STORM_MS; now_ms++) {
        for (size_t i = 0; i < CLIENTS; i++)
            if (s->next_ms[i] != 0 && s->next_ms[i] <= now_ms)
                come(s, i, now_ms);
        serve(s, now_ms);
    }
    return now_ms;
}

START_TEST(test_storm) {
    static struct storm bounded = {.is_bounded = true}, unbounded;
    uint64_t took_ms = storm_ms(&bounded);
    ck_assert_uint_lt(took_ms, CLIENTS * 5 / 4);
    ck_assert_uint_lt(bounded.late, CLIENTS / 100);
    (void)storm_ms(&unbounded);
    ck_assert_uint_lt(unbounded.in, CLIENTS); // what it is for
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("admission");
    tcase_add_test(test_case, test_closed_when_as_many_are_under_way);
    tcase_add_test(test_case, test_what_is_left);
    tcase_add_loop_test(test_case, test_answers, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(test_case, test_half_once_a_second_and_never_none);
    tcase_add_test(test_case, test_each_has_a_time_of_its_own);
    tcase_add_test(test_case, test_more_than_there_are_times);
    tcase_add_test(test_case, test_storm);
    return run_case("admission", test_case);
}
