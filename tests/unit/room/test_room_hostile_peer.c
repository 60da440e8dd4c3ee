// Values that no daemon sends, from a peer that knows the secret, at each method of a room.
#include "suite.h"

#include "hostile_peer.h"
#include "register.pb-c.h"
#include "room.h"
#include "room.pb-c.h"
#include "saver.pb-c.h"

START_TEST(test_every_method) {
    static const struct hostile_method methods[] = {
        {HAWSER__INTERNAL__ROOM_METHOD__ROOM_DELIVER,
         &hawser__internal__deliver_request__descriptor, "center"},
        {HAWSER__INTERNAL__ROOM_METHOD__ROOM_NEWS, &hawser__internal__news_request__descriptor,
         "center"},
        {HAWSER__INTERNAL__ROOM_METHOD__ROOM_REPLACED,
         &hawser__internal__replaced_request__descriptor, "room"},
        {HAWSER__INTERNAL__ROOM_METHOD__ROOM_CONFIRM_ROW,
         &hawser__internal__confirm_row_request__descriptor, "room"},
        {HAWSER__INTERNAL__ROOM_METHOD__ROOM_STATS,
         &hawser__internal__room_stats_request__descriptor, "center"},
        {HAWSER__INTERNAL__ROOM_METHOD__ROOM_DRAIN, &hawser__internal__drain_request__descriptor,
         "center"},
    };
    hostile_run(&room_role, "room_rpc", methods, sizeof(methods) / sizeof(methods[0]));
}
END_TEST

RUN_TESTS("room and a hostile peer", test_every_method)
