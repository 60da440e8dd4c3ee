// Products as they are learnt from catalog entries: found by name, number and the kid of an API
// key, as they are now, and by nothing that they had before.
#include "suite.h"

#include <stdbool.h>

#include "buf.h"
#include "cluster.h"

static struct os *os;
static struct loop *loop;
static struct rpc_identity self = {.role = "center", .incarnation = 8};

static void learn(struct cluster *c, const char *name, uint64_t version, const char *kid) {
    Hawser__Internal__CatalogEntry entry = HAWSER__INTERNAL__CATALOG_ENTRY__INIT;
    Hawser__Internal__Product record = HAWSER__INTERNAL__PRODUCT__INIT;
    Hawser__Internal__ProductKey api = HAWSER__INTERNAL__PRODUCT_KEY__INIT;
    Hawser__Internal__ProductKey token = HAWSER__INTERNAL__PRODUCT_KEY__INIT,
                                 *keys[] = {&api, &token};
    char key[48];
    uint8_t value[256];
    record.name = (char *)(uintptr_t)name;
    record.number = (uint32_t)name[0];
    api.kid = (char *)(uintptr_t)kid;
    api.kind = HAWSER__INTERNAL__KEY_KIND__KEY_API;
    token.kid = (char *)(uintptr_t) "token";
    token.kind = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
    record.key = keys;
    record.n_key = 2;
    snprintf(key, sizeof(key), "product/%s", name);
    entry.key = key;
    entry.version = version;
    entry.deleted = kid == NULL;
    if (kid)
        entry.value = (ProtobufCBinaryData){hawser__internal__product__pack(&record, value), value};
    cluster_learn(c, &entry);
}

static const char *of_kid(const struct cluster *c, const char *kid) {
    const struct product *p = cluster_product_by_api_kid(c, kid, strlen(kid));
    return p ? p->name : "";
}

START_TEST(test_by_api_kid) {
    os = os_new();
    loop = loop_new(os);
    char *nobody[] = {(char *)(uintptr_t) "127.0.0.1:1"};
    struct cluster *c = cluster_new(&(struct cluster_options){
        .loop = loop, .self = &self, .registers = nobody, .register_count = 1});
    learn(c, "a", 1, "kid1");
    learn(c, "b", 1, "kid2");
    ck_assert_str_eq(of_kid(c, "kid1"), "a");
    ck_assert_str_eq(of_kid(c, "kid2"), "b");
    ck_assert_str_eq(of_kid(c, "kid"), "");
    ck_assert_str_eq(of_kid(c, "token"), "");
    learn(c, "a", 2, "kid3"); // another record, another address
    ck_assert_str_eq(of_kid(c, "kid1"), "");
    ck_assert_str_eq(of_kid(c, "kid3"), "a");
    learn(c, "b", 2, NULL);
    ck_assert_str_eq(of_kid(c, "kid2"), "");
    ck_assert_ptr_null(cluster_product_find(c, "b", 1));
    ck_assert_ptr_eq(cluster_product_find(c, "a", 1), cluster_product_by_number(c, 'a'));
    cluster_free(c);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}
END_TEST

RUN_TESTS("catalog", test_by_api_kid)
