// The dispatcher's choice of rooms: stable for a device, scattered, bounded by load, and free of
// what is drained, full or failed.
#include "suite.h"

#include "choose.h"

enum { ROOMS = 8 };

static Hawser__Internal__Member members[ROOMS];
static Hawser__Internal__MemberEndpoint endpoints[ROOMS];
static Hawser__Internal__MemberEndpoint *endpoint_lists[ROOMS][1];
static const Hawser__Internal__Member *rooms[ROOMS];
static char ids[ROOMS][16], hosts[ROOMS][16];

// Eight rooms on four hosts, two ports each, in two regions.
static void setup(void) {
    for (int i = 0; i < ROOMS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "room-%d", i);
        snprintf(hosts[i], sizeof(hosts[i]), "10.0.0.%d", i / 2 + 1);
        hawser__internal__member__init(&members[i]);
        hawser__internal__member_endpoint__init(&endpoints[i]);
        endpoints[i].host = hosts[i];
        endpoints[i].port = (uint32_t)(7200 + i % 2);
        endpoint_lists[i][0] = &endpoints[i];
        members[i].id = ids[i];
        members[i].idc = i < 4 ? (char *)"east" : (char *)"west";
        members[i].endpoint = endpoint_lists[i];
        members[i].n_endpoint = 1;
        members[i].sessions = 1000;
        rooms[i] = &members[i];
    }
}

static Hawser__V1__Locate ask_for(const char *device) {
    Hawser__V1__Locate ask = HAWSER__V1__LOCATE__INIT;
    ask.device = (char *)(uintptr_t)device;
    ask.product = (char *)(uintptr_t) "demo";
    return ask;
}

// The same device gets the same list, whatever the order of the directory.
START_TEST(test_same_device_same_list) {
    setup();
    Hawser__V1__Locate ask = ask_for("device-1");
    struct chosen a[CHOOSE_MAX], b[CHOOSE_MAX];
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 5, a), 5);
    const Hawser__Internal__Member *reversed[ROOMS];
    for (int i = 0; i < ROOMS; i++)
        reversed[i] = rooms[ROOMS - 1 - i];
    ck_assert_int_eq(choose_rooms(reversed, ROOMS, &ask, 5, b), 5);
    for (int i = 0; i < 5; i++)
        ck_assert_ptr_eq(a[i].endpoint, b[i].endpoint);
}
END_TEST

// Four hosts: the first four endpoints lie on four hosts, and no endpoint stands twice.
START_TEST(test_scattered_over_hosts) {
    setup();
    for (int d = 0; d < 50; d++) {
        char device[16];
        snprintf(device, sizeof(device), "d%d", d);
        Hawser__V1__Locate ask = ask_for(device);
        ask.want = 8;
        struct chosen c[CHOOSE_MAX];
        ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 5, c), 8);
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < i; j++) {
                ck_assert_ptr_ne(c[i].endpoint, c[j].endpoint);
                ck_assert(i >= 4 || strcmp(c[i].endpoint->host, c[j].endpoint->host) != 0);
            }
    }
}
END_TEST

// When one room leaves, only the devices that were first sent to it move.
START_TEST(test_only_devices_of_a_lost_room_move) {
    setup();
    int moved = 0, on_lost = 0;
    for (int d = 0; d < 400; d++) {
        char device[16];
        snprintf(device, sizeof(device), "d%d", d);
        Hawser__V1__Locate ask = ask_for(device);
        struct chosen before[CHOOSE_MAX], after[CHOOSE_MAX];
        ck_assert_int_gt(choose_rooms(rooms, ROOMS, &ask, 1, before), 0);
        ck_assert_int_gt(choose_rooms(rooms, ROOMS - 1, &ask, 1, after), 0);
        on_lost += before[0].room == rooms[ROOMS - 1];
        moved += before[0].room != after[0].room;
    }
    ck_assert_int_gt(on_lost, 20); // about 50 of 400
    ck_assert_int_eq(moved, on_lost);
}
END_TEST

// Draining, unready and full rooms, endpoints that failed, and transports that do not fit are never
// named.
START_TEST(test_left_out) {
    setup();
    members[0].draining = 1;
    members[1].unhealthy = (char *)(uintptr_t) "no register answers";
    members[2].sessions_max = 1000;
    members[4].load = 10000;
    Hawser__V1__Endpoint failed = HAWSER__V1__ENDPOINT__INIT;
    failed.host = hosts[3];
    failed.port = endpoints[3].port;
    Hawser__V1__Endpoint *failed_list[] = {&failed};
    Hawser__V1__Locate ask = ask_for("device-1");
    ask.want = 16;
    ask.failed = failed_list;
    ask.n_failed = 1;
    struct chosen c[CHOOSE_MAX];
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 5, c), 3);
    for (int i = 0; i < 3; i++)
        for (int left_out = 0; left_out < 5; left_out++)
            ck_assert_ptr_ne(c[i].room, rooms[left_out]);
    Hawser__V1__Transport tls[] = {HAWSER__V1__TRANSPORT__TLS};
    ask.transport = tls;
    ask.n_transport = 1;
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 5, c), 0);
}
END_TEST

// When all that fits has failed, it is named all the same: it may be well again.
START_TEST(test_all_failed) {
    setup();
    Hawser__V1__Endpoint failed[ROOMS], *list[ROOMS];
    for (int i = 0; i < ROOMS; i++) {
        hawser__v1__endpoint__init(list[i] = &failed[i]);
        failed[i].host = hosts[i];
        failed[i].port = endpoints[i].port;
    }
    Hawser__V1__Locate ask = ask_for("device-1");
    ask.failed = list;
    ask.n_failed = ROOMS;
    struct chosen c[CHOOSE_MAX];
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 3, c), 3);
}
END_TEST

// After a failure in one region the other region comes first.
START_TEST(test_failed_region_last) {
    setup();
    Hawser__V1__Endpoint failed = HAWSER__V1__ENDPOINT__INIT;
    failed.host = hosts[5];
    failed.port = endpoints[5].port;
    Hawser__V1__Endpoint *failed_list[] = {&failed};
    Hawser__V1__Locate ask = ask_for("device-2");
    ask.failed = failed_list;
    ask.n_failed = 1;
    struct chosen c[CHOOSE_MAX];
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 2, c), 2);
    ck_assert_str_eq(c[0].room->idc, "east");
    ck_assert_str_eq(c[1].room->idc, "east");
}
END_TEST

// A room over the bound is only named when the others do not fill the list.
START_TEST(test_bounded_by_load) {
    setup();
    Hawser__V1__Locate ask = ask_for("device-3");
    struct chosen c[CHOOSE_MAX];
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 1, c), 1);
    const Hawser__Internal__Member *first = c[0].room;
    members[first - members].sessions = 5000;
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 1, c), 1);
    ck_assert_ptr_ne(c[0].room, first);
    members[first - members].sessions = 1300;
    ck_assert_int_eq(choose_rooms(rooms, ROOMS, &ask, 1, c), 1);
    ck_assert_ptr_eq(c[0].room, first);
}
END_TEST

RUN_TESTS("choose", test_same_device_same_list, test_scattered_over_hosts,
          test_only_devices_of_a_lost_room_move, test_left_out, test_all_failed,
          test_failed_region_last, test_bounded_by_load)
