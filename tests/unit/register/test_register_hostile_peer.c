// Values that no daemon sends, from a peer that knows the secret, at each method of a register.
#include "suite.h"

#include "hostile_peer.h"
#include "register.h"
#include "register.pb-c.h"
#include "room.pb-c.h"
#include "saver.pb-c.h"

START_TEST(test_every_method) {
    static const struct hostile_method methods[] = {
        {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_ANNOUNCE,
         &hawser__internal__announce_request__descriptor, "room"},
        {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WITHDRAW,
         &hawser__internal__withdraw_request__descriptor, "room"},
        {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT,
         &hawser__internal__catalog_put_request__descriptor, "center"},
        {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET,
         &hawser__internal__catalog_get_request__descriptor, "saver"},
        {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN,
         &hawser__internal__login_request__descriptor, "room"},
        {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_DROP,
         &hawser__internal__drop_request__descriptor, "room"},
        {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_CONFIRM,
         &hawser__internal__confirm_request__descriptor, "room"},
        {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND,
         &hawser__internal__find_request__descriptor, "center"},
        {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_ONLINE,
         &hawser__internal__online_request__descriptor, "center"},
    };
    hostile_run(&register_role, "register", methods, sizeof(methods) / sizeof(methods[0]));
}
END_TEST

RUN_TESTS("register and a hostile peer", test_every_method)
