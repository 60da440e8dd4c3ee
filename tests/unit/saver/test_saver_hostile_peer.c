// Values that no daemon sends, from a peer that knows the secret, at each method of a saver.
#include "suite.h"

#include "hostile_peer.h"
#include "register.pb-c.h"
#include "room.pb-c.h"
#include "saver.h"
#include "saver.pb-c.h"

START_TEST(test_every_method) {
    static const struct hostile_method methods[] = {
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND,
         &hawser__internal__append_request__descriptor, "center"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD, &hawser__internal__load_request__descriptor,
         "room"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_HEAD, &hawser__internal__head_request__descriptor,
         "room"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_PRODUCT_HEADS,
         &hawser__internal__product_heads_request__descriptor, "room"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH,
         &hawser__internal__attach_request__descriptor, "room"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK, &hawser__internal__ack_request__descriptor,
         "room"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS, &hawser__internal__sums_request__descriptor,
         "room"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_STATS, &hawser__internal__stats_request__descriptor,
         "center"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_USER, &hawser__internal__user_request__descriptor,
         "center"},
        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_CLOCK, &hawser__internal__clock_request__descriptor,
         "dispatcher"},
    };
    hostile_run(&saver_role, "saver", methods, sizeof(methods) / sizeof(methods[0]));
}
END_TEST

RUN_TESTS("saver and a hostile peer", test_every_method)
