// A push to many as it is stored: each target once, in order, in parts; and how a job is shown.
#include "../suite.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"

enum { MANY = 10000 };

static struct target targets[MANY];
static char names[MANY][8];

static void many_targets(void) {
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "u%d", i);
        targets[i] = (struct target){.user = names[i]};
    }
    targets[1].device_count = 2;
    targets[1].devices[0] = "d";
    targets[1].devices[1] = "e";
}

static void check_target(const Hawser__Internal__JobTarget *target, size_t i) {
    ck_assert_str_eq(target->user, names[i]);
    ck_assert_uint_eq(target->n_device, i == 1 ? 2 : 0);
    if (i == 1)
        ck_assert_str_eq(target->device[1], "e");
}

// Of so many targets so many parts: never more than a saver takes, and all targets in them.
START_TEST(test_parts) {
    static const struct {
        size_t targets, parts;
    } rows[] = {{101, 2}, {200, 2}, {201, 3}, {6400, 64}, {6401, 64}, {MANY, 64}};
    many_targets();
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct push push = {.to = {.kind = TO_USERS, .list = targets, .count = rows[r].targets},
                            .ttl_ms = 5};
        struct aim aim = {.product = 9, .id = "j", .expires_ms = 8, .not_after_ms = 7};
        struct job_put put;
        size_t seen = 0;
        job_put_make(&put, &push, &aim);
        ck_assert_uint_eq(put.request.n_part, rows[r].parts);
        ck_assert_uint_eq(put.request.targets, rows[r].targets);
        ck_assert_uint_eq(put.request.expires_ms, 8);
        ck_assert_str_eq(put.request.message->id, "j");
        for (size_t i = 0; i < put.request.n_part; i++) {
            Hawser__Internal__JobTargets *part = hawser__internal__job_targets__unpack(
                NULL, put.request.part[i].len, put.request.part[i].data);
            ck_assert_ptr_nonnull(part);
            for (size_t k = 0; k < part->n_target; k++)
                check_target(part->target[k], seen++);
            hawser__internal__job_targets__free_unpacked(part, NULL);
        }
        ck_assert_uint_eq(seen, rows[r].targets);
        job_put_deinit(&put);
    }
}
END_TEST

START_TEST(test_shown) {
    Hawser__Internal__Job job = HAWSER__INTERNAL__JOB__INIT;
    job.id = (char *)(uintptr_t) "j";
    job.state = HAWSER__INTERNAL__JOB_STATE__JOB_RUNNING;
    job.class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    job.accepted_ms = 1000;
    job.expires_ms = 2000;
    job.targets = 200;
    job.done = 50;
    job.rejected = 3;
    json_t *json = job_json(&job);
    char *text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text, "{\"id\":\"j\",\"class\":\"durable\",\"state\":\"running\","
                           "\"accepted_at\":\"1970-01-01T00:00:01.000Z\","
                           "\"expires_at\":\"1970-01-01T00:00:02.000Z\",\"unit\":\"users\","
                           "\"counts\":{\"targets\":200,\"rejected\":3},\"progress\":0.25}");
    free(text);
    json_decref(json);
}
END_TEST

START_TEST(test_states_and_cursors) {
    Hawser__Internal__JobState state = HAWSER__INTERNAL__JOB_STATE__JOB_ANY;
    Hawser__Internal__Job job = HAWSER__INTERNAL__JOB__INIT;
    static const char *const bad[] = {"", "j", "0-j", "-1-j", "12", "12j", "999999999999999-j"};
    char text[JOB_CURSOR_CHARS];
    const char *id = NULL;
    uint64_t accepted_ms = 0;
    ck_assert(job_state_of("done", &state));
    ck_assert_int_eq(state, HAWSER__INTERNAL__JOB_STATE__JOB_DONE);
    ck_assert(!job_state_of("any", &state));
    job.id = (char *)(uintptr_t) "a1";
    job.accepted_ms = 12;
    job_cursor(&job, text);
    ck_assert(job_cursor_read(text, &accepted_ms, &id));
    ck_assert_uint_eq(accepted_ms, 12);
    ck_assert_str_eq(id, "a1");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!job_cursor_read(bad[i], &accepted_ms, &id), "%s", bad[i]);
}
END_TEST

RUN_TESTS("job", test_parts, test_shown, test_states_and_cursors)
