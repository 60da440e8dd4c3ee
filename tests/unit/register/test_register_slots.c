// For a cluster of Redis servers each command and script names one hash slot. Each method of a
// register is asked for, and the server tells which hash slots that was: one, but for the methods
// that are listed here and in docs/STORE.md. A script touches keys of its own hash slot only.
#include "../every_request.h"
#include "../slots.h"
#include "methods.h"
#include "register_bed.h"

REGISTER_METHODS(REQUEST_DECLARATION)
static ProtobufCMessage *const requests[] = {REGISTER_METHODS(REQUEST_ROW)};
enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };

// 1 is where the live sessions of product 1 are counted.
static const struct slots_method others[] = {
    {"AnnounceRequest", "dir"},   {"WithdrawRequest", "dir"},
    {"WatchRequest", "dir"},      {"CatalogPutRequest", "dir"},
    {"CatalogGetRequest", "dir"}, {"LoginRequest", "1 B"},
    {"DropRequest", "1 B"},       {"ConfirmRequest", "1 B"},
    {"OnlineRequest", "1"},       {0},
};

// The view of who lives is read ten times a second: a script that is given the history alone.
static bool is_of_method(const struct slots *s) {
    return s->word_count != 5 || strcmp(s->words[3], "hw:{dir}") != 0;
}

static void requests_make(void) {
    static Hawser__Internal__Member member = HAWSER__INTERNAL__MEMBER__INIT;
    static char other[] = "other";
    REGISTER_METHODS(REQUEST_INIT)
    for (size_t i = 0; i < REQUESTS; i++) {
        request_set_text(requests[i], "device", "d");
        request_set_text(requests[i], "room", "room-a");
        request_set_text(requests[i], "key", "k");
        request_set_number(requests[i], "product", 1);
        request_set_number(requests[i], "incarnation", 11);
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
    char path[128];
    Hawser__Internal__CatalogGetRequest marker = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    marker.key = (char[]){"marker"};
    snprintf(path, sizeof(path), "%s/s", b->dir);
    (void)ask(b, &marker.base); // what came before has arrived
    slots_open(&s, path);
    const ProtobufCMessage *reply = ask(b, request);
    if (reply->descriptor == &hawser__internal__login_reply__descriptor) {
        drop_request.generation = ((const Hawser__Internal__LoginReply *)reply)->generation;
        confirm_request.generation = drop_request.generation + 1; // which is written anew
    }
    (void)ask(b, &marker.base);
    slots_end(&s, "marker", is_of_method, request, slots_of_method(others, request));
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
