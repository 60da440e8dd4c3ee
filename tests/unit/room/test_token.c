// Client tokens: each claim of a wrong type is refused, whatever it would have narrowed.
#include "token.h"

#include <stdio.h>

#include "suite.h"
#include "tokens.h"

enum { NOW_S = 1700000000 };
#define GOOD "\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":1700003600"

static const char *key_algorithm = "HS256";

static uint32_t checked(const char *header, const char *claims, struct token_claims *ret_claims) {
    const struct token_terms terms = {.algorithm = key_algorithm,
                                      .secret = secret,
                                      .secret_len = sizeof(secret) - 1,
                                      .product = "shop",
                                      .ttl_ms = 86400000,
                                      .device = "phone",
                                      .now_ms = (uint64_t)NOW_S * 1000};
    struct token_glance glance;
    const char *reason = NULL;
    char *token = token_of(header, claims);
    uint32_t code = 4002; // a token whose peek fails is refused so too
    if (token_peek(token, &glance, &reason))
        code = token_check(token, &terms, ret_claims, &reason);
    ck_assert_msg(code == 0 || reason, "refused without a reason: %s", claims);
    free(token);
    return code;
}

static const struct {
    const char *header, *claims;
    uint32_t code;
} cases[] = {
    {HEADER, "{" GOOD "}", 0},
    {HEADER, "{" GOOD ",\"dev\":\"phone\",\"nbf\":1699999999,\"iat\":1699999999.5}", 0},
    {HEADER, "{\"aud\":[\"shop\"],\"sub\":\"ann\",\"exp\":1700003600}", 0},
    {HEADER, "{" GOOD ",\"jti\":7,\"iss\":\"app\"}", 0},
    {HEADER, "{" GOOD ",\"dev\":\"tablet\"}", 4002},
    {HEADER, "{" GOOD ",\"dev\":5}", 4002},
    {HEADER, "{" GOOD ",\"dev\":[\"phone\"]}", 4002},
    {HEADER, "{" GOOD ",\"dev\":{}}", 4002},
    {HEADER, "{" GOOD ",\"dev\":null}", 4002},
    {HEADER, "{" GOOD ",\"dev\":\"\"}", 4002},
    {HEADER, "{" GOOD ",\"dev\":true}", 4002},
    {HEADER, "{" GOOD ",\"tags\":\"a\"}", 4002},
    {HEADER, "{" GOOD ",\"tags\":null}", 4002},
    {HEADER, "{" GOOD ",\"tags\":{\"a\":1}}", 4002},
    {HEADER, "{" GOOD ",\"tags\":[1]}", 4002},
    {HEADER, "{" GOOD ",\"tags\":[\"a\",\"\"]}", 4002},
    {HEADER, "{" GOOD ",\"nbf\":\"1699999999\"}", 4002},
    {HEADER, "{" GOOD ",\"nbf\":null}", 4002},
    {HEADER, "{" GOOD ",\"nbf\":[]}", 4002},
    {HEADER, "{" GOOD ",\"nbf\":1700000061}", 4002},
    {HEADER, "{" GOOD ",\"iat\":\"1699999999\"}", 4002},
    {HEADER, "{" GOOD ",\"iat\":null}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":\"1700003600\"}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":null}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":true}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":-1}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":1e300}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":\"ann\"}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":1699999000}", 4005},
    {HEADER, "{\"aud\":\"shop\",\"sub\":5,\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":[\"ann\"],\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"sub\":null,\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":\"shop\",\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":\"bank\",\"sub\":\"ann\",\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":5,\"sub\":\"ann\",\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":[],\"sub\":\"ann\",\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":[\"shop\",\"bank\"],\"sub\":\"ann\",\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":[5],\"sub\":\"ann\",\"exp\":1700003600}", 4002},
    {HEADER, "{\"aud\":null,\"sub\":\"ann\",\"exp\":1700003600}", 4002},
    {HEADER,
     "["
     "\"shop\""
     "]",
     4002},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":[\"exp\"],\"exp\":1}", "{" GOOD "}", 4002},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":null}", "{" GOOD "}", 4002},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":\"b64\"}", "{" GOOD "}", 4002},
    {"{\"alg\":\"HS256\",\"kid\":5}", "{" GOOD "}", 4002},
    {"{\"alg\":\"HS256\"}", "{" GOOD "}", 4002},
    {"{\"alg\":\"none\",\"kid\":\"k1\"}", "{" GOOD "}", 4002},
    {"{\"alg\":\"HS512\",\"kid\":\"k1\"}", "{" GOOD "}", 4002},
    {"{\"alg\":[\"HS256\"],\"kid\":\"k1\"}", "{" GOOD "}", 4002},
};

START_TEST(each_claim_has_its_type) {
    struct token_claims claims;
    uint32_t code = checked(cases[_i].header, cases[_i].claims, &claims);
    ck_assert_msg(code == cases[_i].code, "%u for %s %s", code, cases[_i].header, cases[_i].claims);
    if (code == 0)
        token_claims_deinit(&claims);
}
END_TEST

START_TEST(claims_are_taken) {
    struct token_claims claims;
    ck_assert_uint_eq(checked(HEADER, "{" GOOD ",\"tags\":[\"a\",\"b\"]}", &claims), 0);
    ck_assert_str_eq(claims.user, "ann");
    ck_assert_uint_eq(claims.expires_ms, 1700003600000);
    ck_assert(claims.tags_given);
    ck_assert_int_eq(claims.tag_count, 2);
    ck_assert_str_eq(claims.tags[1], "b");
    token_claims_deinit(&claims);
    ck_assert_uint_eq(checked(HEADER, "{" GOOD ",\"tags\":[]}", &claims), 0);
    ck_assert(claims.tags_given); // none is allowed
    ck_assert_int_eq(claims.tag_count, 0);
    token_claims_deinit(&claims);
}
END_TEST

// A key of another algorithm is no secret for this one, whatever the header says.
START_TEST(a_key_has_its_algorithm) {
    static const char *const others[] = {"", "ES256", "HS512", "HS25"};
    struct token_claims claims;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        key_algorithm = others[i];
        ck_assert_uint_eq(checked(HEADER, "{" GOOD "}", &claims), 4002);
    }
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("token");
    tcase_add_loop_test(test_case, each_claim_has_its_type, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(test_case, claims_are_taken);
    tcase_add_test(test_case, a_key_has_its_algorithm);
    return run_case("token", test_case);
}
