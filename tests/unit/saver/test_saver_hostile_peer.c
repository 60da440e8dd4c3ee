// Values that no daemon sends, from a peer that knows the secret, at each method of a saver.
#include "suite.h"

#include "hostile_peer.h"
#include "saver.h"

START_TEST(test_every_method) {
    static const struct hostile_method methods[] = {SAVER_METHODS(HOSTILE_METHOD)};
    hostile_run(&saver_role, "saver", methods, sizeof(methods) / sizeof(methods[0]));
}
END_TEST

RUN_TESTS("saver and a hostile peer", test_every_method)
