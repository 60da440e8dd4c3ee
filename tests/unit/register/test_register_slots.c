// For a cluster of Redis servers each command and script names one hash slot. Each method of a
// register is asked for, and the server tells which hash slots that was: one, but for the methods
// that are listed here and in docs/STORE.md. A script touches keys of its own hash slot only.
#include "../every_request.h"
#include "../slots.h"
#include "crypto.h"
#include "methods.h"
#include "register_bed.h"

REGISTER_METHODS(REQUEST_DECLARATION)
static ProtobufCMessage *const requests[] = {REGISTER_METHODS(REQUEST_ROW)};
enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };

// B is the bucket of the user, of product 1; 1 is where its live sessions are counted.
static const struct {
    const char *method, *slots;
} others[] = {
    {"AnnounceRequest", "dir"},   {"WithdrawRequest", "dir"},   {"WatchRequest", "dir"},
    {"CatalogPutRequest", "dir"}, {"CatalogGetRequest", "dir"}, {"LoginRequest", "1 B"},
    {"DropRequest", "1 B"},       {"ConfirmRequest", "1 B"},    {"OnlineRequest", "1"},
};

static const char *slots_of_method(const ProtobufCMessage *request) {
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(others[i].method, request->descriptor->short_name) == 0)
            return others[i].slots;
    return "B";
}

// The view of who lives is read ten times a second: a script that is given the history alone.
static bool is_of_method(const struct slots *s) {
    return s->word_count != 5 || strcmp(s->words[3], "hw:{dir}") != 0;
}

static void fill_text(ProtobufCMessage *request, const char *name, const char *text) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);
    if (f)
        *(const char **)((char *)request + f->offset) = text;
}

static void fill_number(ProtobufCMessage *request, const char *name, uint64_t n) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);
    if (f && f->type == PROTOBUF_C_TYPE_UINT32)
        *(uint32_t *)((char *)request + f->offset) = (uint32_t)n;
    else if (f)
        *(uint64_t *)((char *)request + f->offset) = n;
}

static void requests_make(void) {
    static Hawser__Internal__Member member = HAWSER__INTERNAL__MEMBER__INIT;
    static char other[] = "other";
    REGISTER_METHODS(REQUEST_INIT)
    for (size_t i = 0; i < REQUESTS; i++) {
        fill_text(requests[i], "device", "d");
        fill_text(requests[i], "room", "room-a");
        fill_text(requests[i], "key", "k");
        fill_number(requests[i], "product", 1);
        fill_number(requests[i], "incarnation", 11);
    }
    member.id = member.rpc = other;
    member.incarnation = 33;
    withdraw_request.incarnation = 33;
    announce_request.member = &member;
    announce_request.lease_ms = 60000;
}

// A key that nobody else asks for ends what is looked at.
static void expect_slots(struct bed *b, const ProtobufCMessage *request) {
    static struct slots s;
    char path[128], want[SLOT_WORD_BYTES];
    struct buf got = BUF_EMPTY;
    Hawser__Internal__CatalogGetRequest marker = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    marker.key = (char[]){"marker"};
    snprintf(path, sizeof(path), "%s/s", b->dir);
    slots_expand(slots_of_method(request), bucket_of_user("u", 1), want);
    (void)ask(b, &marker.base); // what came before has arrived
    slots_open(&s, path);
    const ProtobufCMessage *reply = ask(b, request);
    if (reply->descriptor == &hawser__internal__login_reply__descriptor) {
        drop_request.generation = ((const Hawser__Internal__LoginReply *)reply)->generation;
        confirm_request.generation = drop_request.generation + 1; // which is written anew
    }
    (void)ask(b, &marker.base);
    slots_until(&s, "marker", is_of_method, &got);
    ck_assert_msg(strcmp(buf_cstr(&got), want) == 0, "%s: '%s', not '%s'",
                  request->descriptor->short_name, buf_cstr(&got), want);
    slots_close(&s);
    buf_free(&got);
}

START_TEST(test_methods) {
    struct bed *b = bed_new(true);
    rooms_live(b);
    requests_make();
    for (size_t i = 0; i < REQUESTS; i++)
        expect_slots(b, requests[i]);
    bed_free(b);
}
END_TEST

RUN_TESTS("register_slots", test_methods)
