// Values that no daemon sends, from a peer that knows the secret, at each method of a register.
#include "suite.h"

#include "hostile_peer.h"
#include "register.h"

START_TEST(test_every_method) {
    static const struct hostile_method methods[] = {REGISTER_METHODS(HOSTILE_METHOD)};
    hostile_run(&register_role, "register", methods, sizeof(methods) / sizeof(methods[0]));
}
END_TEST

RUN_TESTS("register and a hostile peer", test_every_method)
