// Why no register can ever answer: a daemon asks once each of them has refused it.
#include "suite.h"

#include "buf.h"
#include "cluster.h"
#include "rpc.h"

enum { PEERS = 2 };

static struct rpc_identity self = {
    .role = "room", .incarnation = 8, .secrets = {"secret"}, .secret_count = 1};

// What is said of peers of these roles and secrets, where cluster.registers leads to.
static const char *hopeless_of(const char *const roles[PEERS], const char *const secrets[PEERS]) {
    static const struct rpc_method none[] = {{0}};
    struct rpc_identity peers[PEERS];
    struct rpc_server *servers[PEERS];
    char texts[PEERS][32], *seeds[PEERS];
    struct os *os = os_new();
    struct loop *loop = loop_new(os);
    for (int i = 0; i < PEERS; i++) {
        peers[i] = (struct rpc_identity){
            .role = roles[i], .incarnation = 7, .secrets = {secrets[i]}, .secret_count = 1};
        struct rpc_server_options options = {
            .loop = loop, .self = &peers[i], .host = "127.0.0.1", .methods = none};
        ck_assert_int_eq(rpc_server_new(&options, &servers[i]), 0);
        snprintf(texts[i], sizeof(texts[i]), "127.0.0.1:%u", rpc_server_port(servers[i]));
        seeds[i] = texts[i];
    }
    struct cluster *c = cluster_new(&(struct cluster_options){
        .loop = loop, .self = &self, .registers = seeds, .register_count = PEERS});
    ck_assert_ptr_null(cluster_hopeless(c)); // nobody has refused it yet
    while (!cluster_hopeless(c))
        loop_step(loop, -1);
    const char *said = cluster_hopeless(c);
    cluster_free(c);
    for (int i = 0; i < PEERS; i++)
        rpc_server_free(servers[i]);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
    return said;
}

START_TEST(test_another_secret) {
    ck_assert_str_eq(
        hopeless_of((const char *[]){"register", "register"}, (const char *[]){"other", "other"}),
        "cluster.secrets: the registers have another secret");
}
END_TEST

// Ports that lead to another daemon are no matter of the secrets.
START_TEST(test_another_daemon) {
    const char *text = "cluster.registers: another kind of daemon answers there";
    ck_assert_str_eq(
        hopeless_of((const char *[]){"saver", "center"}, (const char *[]){"secret", "secret"}),
        text);
    ck_assert_str_eq(
        hopeless_of((const char *[]){"register", "saver"}, (const char *[]){"other", "other"}),
        text);
}
END_TEST

RUN_TESTS("cluster", test_another_secret, test_another_daemon)
