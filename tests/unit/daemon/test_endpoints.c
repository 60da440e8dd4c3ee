// What clients are told of an advertise list: each item of the longest list that the configuration
// takes, with what it leaves out filled in, and nothing cut.
#include "suite.h"

#include "client.pb-c.h"
#include "endpoints.h"

static struct config *config;
static struct endpoints endpoints;

static void set(const char *key, const char *value) {
    struct buf error = BUF_EMPTY;
    ck_assert_msg(config_set(config, key, value, &error) == 0, "%s", buf_cstr(&error));
    buf_free(&error);
}

static void take(const char *host) {
    struct host_port bound = {.port = 7200, .port_last = 7299};
    struct daemon_env env = {.role = "room", .config = config};
    memcpy(bound.host, host, strlen(host) + 1);
    endpoints_take(&endpoints, &env, "room.advertise", &bound);
}

static void expect(int i, const char *host, uint32_t port, const char *idc) {
    const Hawser__Internal__MemberEndpoint *e = endpoints.list[i];
    ck_assert_str_eq(e->host, host);
    ck_assert_uint_eq(e->port, port);
    ck_assert_str_eq(e->idc, idc);
    ck_assert_int_eq((int)e->n_transport, 1);
    ck_assert_uint_eq(e->transport[0], HAWSER__V1__TRANSPORT__PLAIN);
}

START_TEST(test_none_is_given) {
    config = config_default();
    set("cluster.idc", "north");
    take("10.0.0.1");
    ck_assert_int_eq(endpoints.count, 1);
    expect(0, "10.0.0.1", 7200, "north");
    take("0.0.0.0");
    expect(0, "127.0.0.1", 7200, "north");
    config_free(config);
}
END_TEST

START_TEST(test_each_of_the_longest_list) {
    char idc[256], host[256];
    config = config_default();
    memset(idc, 'i', 255);
    idc[255] = '\0';
    memset(host, 'h', 255);
    host[255] = '\0';
    struct buf list = BUF_EMPTY;
    buf_printf(&list, "a,b:1,c@east,[::1]:2@west,e,f,g,%s", host);
    set("cluster.idc", idc);
    set("room.advertise", buf_cstr(&list));
    take("0.0.0.0");
    ck_assert_int_eq(endpoints.count, ENDPOINTS_MAX);
    expect(0, "a", 7200, idc);
    expect(1, "b", 1, idc);
    expect(2, "c", 7200, "east");
    expect(3, "::1", 2, "west");
    expect(7, host, 7200, idc);
    buf_free(&list);
    config_free(config);
}
END_TEST

RUN_TESTS("endpoints", test_none_is_given, test_each_of_the_longest_list)
