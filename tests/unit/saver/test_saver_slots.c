// For a cluster of Redis servers each command and script names one hash slot. Each method of a
// saver is asked for, and the server tells which hash slots that was: one, but for the methods that
// are listed here and in docs/STORE.md. A script touches keys of its own hash slot only.
#include "../slots.h"
#include "every_saver_request.h"
#include "redis_server.h"

static const struct store_factory factory = {"redis", redis_open, redis_close, NULL};

static const struct slots_method others[] = {
    {"AppendRequest", "1 B hw:logs"}, // the first one, which announces the bucket
    {"ProductHeadsRequest", "1"},
    {"AttachRequest", "1 B"},
    {"AckRequest", "1 B"}, // of a broadcast log
    {"SumsRequest", "1 hw:logs"},
    {"StatsRequest", "1 B"}, // all buckets that were announced
    {"ClockRequest", ""},
    {"OutcomesRequest", ""},
    {"StatusRequest", ""},
    {"JobPutRequest", "1 hw:jobs"},  // it is announced
    {"JobTakeRequest", "1 hw:jobs"}, // of a product that was announced
    {"JobAdvanceRequest", "1"},
    {"JobsRequest", "1"},
    {0},
};

static bool is_of_method(const struct slots *s) {
    return !slots_has_word(s, "hw:sweep");
}

// Who asks for the time hears of all that was sent before.
static void expect_slots(struct bed *b, const ProtobufCMessage *request, const char *slots) {
    static struct slots s;
    char path[128];
    Hawser__Internal__ClockRequest clock = HAWSER__INTERNAL__CLOCK_REQUEST__INIT;
    snprintf(path, sizeof(path), "%s/s", redis_dir);
    (void)bed_ask(b, &clock.base);
    slots_open(&s, path);
    if (request->descriptor != clock.base.descriptor)
        (void)bed_try(b, request); // or it is not the store's
    (void)bed_ask(b, &clock.base);
    slots_end(&s, "TIME", is_of_method, request, slots);
}

START_TEST(test_methods) {
    struct bed b;
    bed_open(&b, &factory);
    redis_cli("SET hw:sweep others"); // no sweep comes between
    requests_make();
    for (size_t i = 0; i < REQUESTS; i++) {
        request_set_number((ProtobufCMessage *)(uintptr_t)requests[i], "product", 1);
        expect_slots(&b, requests[i], slots_of_method(others, requests[i]));
    }
    expect_slots(&b, &append_request.base, "B"); // its bucket is announced
    bed_close(&b);
}
END_TEST

RUN_TESTS("saver_slots", test_methods)
