// What an id says of where its message lies, and that nothing else passes for an id.
#include "../suite.h"

#include "message_id.h"

static const uint8_t own[MESSAGE_ID_OWN_BYTES] = {0xff, 0xff, 0xff, 0xff, 1};

START_TEST(test_there_and_back) {
    static const struct message_home places[] = {{MESSAGE_TO_USER, 0, 0},
                                                 {MESSAGE_TO_USER, 1023, 16383},
                                                 {MESSAGE_TO_USER, 512, 1},
                                                 {MESSAGE_TO_MANY, 0, 0},
                                                 {MESSAGE_TO_ALL, 0, 0}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char id[MESSAGE_ID_CHARS + 1];
        struct message_home place;
        message_id_make(&places[i], own, id);
        ck_assert_uint_eq(strlen(id), MESSAGE_ID_CHARS);
        ck_assert(message_id_read(id, &place));
        ck_assert_int_eq(place.kind, places[i].kind);
        ck_assert_uint_eq(place.bucket, places[i].bucket);
        ck_assert_uint_eq(place.mark, places[i].mark);
    }
}
END_TEST

// Too short, too long, another letter, a number that is too large, a kind that there is not, and
// many that lie in a bucket.
START_TEST(test_no_id) {
    struct message_home place, odd = {MESSAGE_TO_MANY, 0, 1};
    char id[MESSAGE_ID_CHARS + 2];
    message_id_make(&odd, own, id);
    ck_assert(!message_id_read(id, &place));
    odd = message_home_of_user("u");
    message_id_make(&odd, own, id);
    ck_assert(message_id_read(id, &place));
    id[3] = '-';
    ck_assert(!message_id_read(id, &place));
    memset(id, 'z', MESSAGE_ID_CHARS);
    ck_assert(!message_id_read(id, &place));
    memset(id, '0', MESSAGE_ID_CHARS + 1);
    id[MESSAGE_ID_CHARS + 1] = '\0';
    ck_assert(!message_id_read(id, &place));
    id[MESSAGE_ID_CHARS - 1] = '\0';
    ck_assert(!message_id_read(id, &place));
}
END_TEST

RUN_TESTS("message id", test_there_and_back, test_no_id)
