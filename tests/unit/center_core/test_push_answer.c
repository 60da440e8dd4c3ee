// The answer of a push, written straight: what jansson would make of the same fields.
#include "../suite.h"

#include <jansson.h>
#include <time.h>

#include "push_answer.h"
#include "texts.h"

static char *by_jansson(const struct push_answer *a) {
    json_t *body = json_pack("{s:s, s:s, s:o}", "id", a->id, "class", a->class, "expires_at",
                             a->is_live ? json_null() : time_json(a->expires_ms));
    if (a->has_seq)
        json_object_set_new(body, "seq", json_integer((json_int_t)a->seq));
    if (a->targets > 0)
        json_object_set_new(body, "targets", json_integer((json_int_t)a->targets));
    if (a->has_online)
        json_object_set_new(body, "online", json_integer((json_int_t)a->online));
    if (a->is_replayed)
        json_object_set_new(body, "replayed", json_true());
    if (a->status)
        json_object_set_new(body, "status", json_integer(a->status));
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

// Each field there or not, with small and large numbers.
START_TEST(test_as_jansson_has_it) {
    static const uint64_t numbers[] = {0, 7, 10, 1234567890, INT64_MAX};
    struct buf out = BUF_EMPTY;
    for (unsigned i = 0; i < 5 * 128; i++) {
        unsigned bits = i / 5;
        uint64_t n = numbers[i % 5];
        struct push_answer a = {.id = "0aZ9", .seq = n, .online = n};
        a.is_live = bits & 1;
        a.class = a.is_live ? "live" : bits & 8 ? "durable" : "stored";
        a.expires_ms = bits & 2 ? 1700000000000 + n % 1000000007 : 0;
        a.has_seq = bits & 4;
        a.has_online = bits & 8;
        a.is_replayed = bits & 16;
        a.targets = bits & 32 ? (size_t)n : 0;
        a.status = bits & 64 ? 202 : 0;
        buf_reset(&out);
        push_answer_put(&out, &a);
        char *expected = by_jansson(&a);
        ck_assert_str_eq(buf_cstr(&out), expected);
        free(expected);
    }
    buf_free(&out);
}
END_TEST

// As strftime writes it, at the edges of what a field holds.
START_TEST(test_times) {
    static const uint64_t times[] = {1,
                                     999,
                                     1000,
                                     951782399999,
                                     951782400000,
                                     1709164800000,
                                     1735689599999,
                                     1735689600000,
                                     253402300799999};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char text[TIME_CHARS + 1], expected[64];
        time_t seconds = (time_t)(times[i] / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        size_t len = strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + len, sizeof(expected) - len, ".%03uZ", (unsigned)(times[i] % 1000));
        format_time(times[i], text);
        ck_assert_str_eq(text, expected);
    }
}
END_TEST

RUN_TESTS("push_answer", test_as_jansson_has_it, test_times)
