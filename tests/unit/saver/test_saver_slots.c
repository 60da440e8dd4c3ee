// For a cluster of Redis servers each command and script names one hash slot. Each method of a
// saver is asked for, and the server tells which hash slots that was: one, but for the methods that
// are listed here and in docs/STORE.md. A script touches keys of its own hash slot only.
#include "../slots.h"
#include "crypto.h"
#include "every_saver_request.h"
#include "redis_server.h"

static const struct store_factory factory = {"redis", redis_open, redis_close, NULL};

// B is the bucket of the user, of product 1.
static const struct {
    const char *method, *slots;
} many[] = {
    {"AppendRequest", "1 B hw:logs"}, // the first one, which announces the bucket
    {"ProductHeadsRequest", "1"},
    {"AttachRequest", "1 B"},
    {"AckRequest", "1 B"}, // of a broadcast log
    {"SumsRequest", "1 hw:logs"},
    {"StatsRequest", "1 B"}, // all buckets that were announced
    {"ClockRequest", ""},
};

static const char *slots_of_method(const ProtobufCMessage *request) {
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
        if (strcmp(many[i].method, request->descriptor->short_name) == 0)
            return many[i].slots;
    return "B";
}

static bool is_of_method(const struct slots *s) {
    return !slots_has_word(s, "hw:sweep");
}

static void name_product(ProtobufCMessage *request) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, "product");
    if (f)
        *(uint32_t *)((char *)request + f->offset) = 1;
}

// Who asks for the time hears of all that was sent before.
static void expect_slots(struct bed *b, const ProtobufCMessage *request, const char *slots) {
    static struct slots s;
    char path[128], want[SLOT_WORD_BYTES];
    struct buf got = BUF_EMPTY;
    Hawser__Internal__ClockRequest clock = HAWSER__INTERNAL__CLOCK_REQUEST__INIT;
    snprintf(path, sizeof(path), "%s/s", redis_dir);
    slots_expand(slots, bucket_of_user("u", 1), want);
    (void)bed_ask(b, &clock.base);
    slots_open(&s, path);
    if (request->descriptor != clock.base.descriptor)
        (void)bed_ask(b, request);
    (void)bed_ask(b, &clock.base);
    slots_until(&s, "TIME", is_of_method, &got);
    ck_assert_msg(strcmp(buf_cstr(&got), want) == 0, "%s: '%s', not '%s'",
                  request->descriptor->short_name, buf_cstr(&got), want);
    slots_close(&s);
    buf_free(&got);
}

START_TEST(test_methods) {
    struct bed b;
    bed_open(&b, &factory);
    redis_cli("SET hw:sweep others"); // no sweep comes between
    requests_make();
    for (size_t i = 0; i < REQUESTS; i++) {
        name_product((ProtobufCMessage *)(uintptr_t)requests[i]);
        expect_slots(&b, requests[i], slots_of_method(requests[i]));
    }
    expect_slots(&b, &append_request.base, "B"); // its bucket is announced
    bed_close(&b);
}
END_TEST

RUN_TESTS("saver_slots", test_methods)
