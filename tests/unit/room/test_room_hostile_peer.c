// Values that no daemon sends, from a peer that knows the secret, at each method of a room.
#include "suite.h"

#include "hostile_peer.h"
#include "room.h"

START_TEST(test_every_method) {
    static const struct hostile_method methods[] = {ROOM_METHODS(HOSTILE_METHOD)};
    hostile_run(&room_role, "room_rpc", methods, sizeof(methods) / sizeof(methods[0]));
}
END_TEST

RUN_TESTS("room and a hostile peer", test_every_method)
