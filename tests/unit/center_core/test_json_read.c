// The reader of bodies, against jansson, which reads the same text in one go: the same texts are
// taken and make the same values, however the work is cut, wherever the text ends and whichever
// byte is spoiled; and no step does more than it was given.
#include "../suite.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "json_read.h"
#include "rng.h"

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY)

// The seeds: each is a text with what the reader tells apart. Those that are refused are here too,
// since what is one byte away from them is of interest.
static const char *const seeds[] = {
    "{\"messages\":[{\"to\":{\"users\":[\"ann\",\"bob\"]},\"payload\":\"x\"},{\"ttl_s\":60}]}",
    "{\"to\":{\"devices\":[{\"user\":\"u\",\"device\":\"d\"}]},\"payload_base64\":\"eA==\"}",
    " {\t\"a\" : [ ] , \"b\":{ } ,\r\n\"c\":[[],[{}],{\"d\":[1]}] } ",
    "[1,-0,0,1.5,-2.25e-3,1E5,9223372036854775807,-9223372036854775808,true,false,null]",
    "[\"\",\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\u0000\"]",
    "{\"\":1,\"\\u00e9\":2,\"\xc3\xa9t\xc3\xa9\":\"\xe2\x82\xac \xf0\x9f\x98\x80\x7f\"}",
    "\"alone\"",
    "0",
    "{\"a\":{\"a\":{\"a\":[[[[[[[[1]]]]]]]]}}}",
    "{\"a\":1,\"a\":2}",
    "{\"a\\u0000b\":1}",
    "[\"\\ud83d\"]",
    "[\"\\ude00\\ud83d\"]",
    "[\"\\ud83d\\u0041\"]",
    "[01]",
    "[1.]",
    "[+1]",
    "[NaN]",
    "[nulll]",
    "[9223372036854775808]",
    "[1e999]",
    "[1,]",
    "{\"a\":1,}",
    "{\"a\"}",
    "{a:1}",
    "[1 2]",
    "[1]]",
    "{}{}",
    "[\"\x01\"]",
    "[\"\xff\"]",
    "[\"\xe2\x82\"]",
    "[\"\xed\xa0\x80\"]",
    "\xef\xbb\xbf{}",
    "",
    " ",
    "['a']",
    "[1//\n]",
};
enum { SEEDS = sizeof(seeds) / sizeof(seeds[0]) };

// At the end of a page behind which there is none.
static char *at_edge(const char *text, size_t len) {
    static char *pages;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!pages) {
        pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(pages, MAP_FAILED);
        ck_assert_int_eq(mprotect(pages + page, page, PROT_NONE), 0);
    }
    ck_assert_uint_le(len, page);
    return memcpy(pages + page - len, text, len);
}

// Reads it in steps of so much work; each does no more than that.
static json_t *read_in_steps(const char *text, size_t len, size_t work) {
    struct json_reader r;
    enum json_read got;
    size_t done;
    json_reader_init(&r, text, len);
    do {
        done = r.work;
        got = json_reader_step(&r, work);
        ck_assert_uint_le(r.work - done, work + JSON_WORK_OVER);
        ck_assert(got != JSON_READ_MORE || r.work - done >= work);
    } while (got == JSON_READ_MORE);
    ck_assert_int_eq(r.fault != NULL, got == JSON_READ_BAD);
    json_t *value = got == JSON_READ_DONE ? json_incref(r.root) : NULL;
    json_reader_deinit(&r);
    return value;
}

static void same(const char *text, size_t len) {
    static const size_t works[] = {1, 7, 1000000};
    // A NUL stands nowhere; jansson passes over one behind a number or a literal.
    json_t *wanted = memchr(text, '\0', len) ? NULL : json_loadb(text, len, FLAGS, NULL);
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        json_t *got = read_in_steps(at_edge(text, len), len, works[i]);
        ck_assert_msg((got != NULL) == (wanted != NULL), "%.*s: %s", (int)len, text,
                      wanted ? "refused" : "taken");
        ck_assert_msg(!got || json_equal(got, wanted), "%.*s: another value", (int)len, text);
        json_decref(got);
    }
    json_decref(wanted);
}

START_TEST(test_whole) {
    same(seeds[_i], strlen(seeds[_i]));
}
END_TEST

START_TEST(test_every_prefix) {
    for (size_t len = 0; len < strlen(seeds[_i]); len++)
        same(seeds[_i], len);
}
END_TEST

START_TEST(test_every_byte_spoiled) {
    static const char spoil[] = "\"\\{}[]:,0a \xc3\x80\xf0\n";
    size_t len = strlen(seeds[_i]);
    char *text = strdup(seeds[_i]);
    for (size_t at = 0; at < len; at++)
        for (size_t i = 0; i < sizeof(spoil); i++) { // the NUL too
            text[at] = spoil[i];
            same(text, len);
            text[at] = seeds[_i][at];
        }
    free(text);
}
END_TEST

// Pieces of the seeds, put together at random: what nobody thought of.
START_TEST(test_pieces) {
    struct rng random;
    rng_init(&random, 7);
    for (int round = 0; round < 5000; round++) {
        char text[256];
        size_t len = 0;
        for (int i = 0; i < 4; i++) {
            const char *seed = seeds[rng_below(&random, SEEDS)];
            size_t from = rng_below(&random, strlen(seed) + 1);
            size_t piece = rng_below(&random, strlen(seed) - from + 1);
            piece = piece < 60 ? piece : 60;
            memcpy(text + len, seed + from, piece);
            len += piece;
        }
        same(text, len);
    }
}
END_TEST

static struct buf repeated(const char *front, const char *part, size_t parts, const char *end) {
    struct buf text = BUF_EMPTY;
    buf_append_str(&text, front);
    for (size_t i = 0; i < parts; i++)
        buf_append_str(&text, part);
    buf_append_str(&text, end);
    return text;
}

#define EIGHT(text) text text text text text text text text

// The work of one step is bounded for the largest texts too, whatever they are made of.
START_TEST(test_large) {
    static const struct {
        const char *front, *part, *end;
        size_t parts;
    } rows[] = {{"[0", ",1", "]", JSON_VALUES_MAX - 2},
                {"[{}", ",{\"a\":{}}", "]", JSON_VALUES_MAX / 2 - 1},
                {"[\"", EIGHT("xxxxxxxx"), "\"]", 128 * 1024 - 1},
                {"[\"", EIGHT("\xe2\x82\xac"), "\"]", 256 * 1024},
                {"[\"", EIGHT("\\u20ac"), "\"]", 128 * 1024},
                {"[", EIGHT("    "), "]", 64 * 1024}};
    struct buf text = repeated(rows[_i].front, rows[_i].part, rows[_i].parts, rows[_i].end);
    json_t *got = read_in_steps((const char *)text.data, text.len, 16 * 1024);
    json_t *wanted = json_loadb((const char *)text.data, text.len, FLAGS, NULL);
    ck_assert(got && json_equal(got, wanted));
    json_decref(got);
    json_decref(wanted);
    buf_free(&text);
}
END_TEST

static const char *fault_of(struct buf text, bool *ret_too_long) {
    struct json_reader r;
    json_reader_init(&r, text.data, text.len);
    while (json_reader_step(&r, 1000) == JSON_READ_MORE) {
    }
    const char *fault = r.fault;
    *ret_too_long = r.is_too_long;
    json_reader_deinit(&r);
    buf_free(&text);
    return fault;
}

// Values, depth and the length of numbers are bounded; a string counts for nothing, whatever stands
// in it.
START_TEST(test_bounds) {
    bool too_long;
    ck_assert_ptr_nonnull(fault_of(repeated("[0", ",1", JSON_VALUES_MAX - 1, "]"), &too_long));
    ck_assert(too_long);
    ck_assert_ptr_nonnull(
        fault_of(repeated("[", "{\"a\":1},", JSON_VALUES_MAX / 2, "1]"), &too_long));
    ck_assert(too_long);
    // Lists within lists are values as others are, though no comma is between them.
    ck_assert_ptr_nonnull(
        fault_of(repeated("[", "[[[[[[[[]]]]]]]],", JSON_VALUES_MAX / 8, "1]"), &too_long));
    ck_assert(too_long);
    ck_assert_ptr_null(fault_of(repeated("[\"", ",:", JSON_VALUES_MAX, "\"]"), &too_long));
    ck_assert(!too_long);
    ck_assert_ptr_null(fault_of(repeated("[\"", "\\\",", JSON_VALUES_MAX, "\"]"), &too_long));
    for (size_t depth = JSON_DEPTH_MAX - 2; depth < JSON_DEPTH_MAX + 2; depth++) {
        struct buf text = repeated("", "[", depth, "");
        struct buf ends = repeated("", "]", depth, "");
        buf_append(&text, ends.data, ends.len);
        buf_free(&ends);
        ck_assert_int_eq(fault_of(text, &too_long) != NULL, depth > JSON_DEPTH_MAX);
        ck_assert(!too_long);
    }
    ck_assert_ptr_null(fault_of(repeated("[1.", "0", JSON_NUMBER_MAX - 2, "]"), &too_long));
    ck_assert_ptr_nonnull(fault_of(repeated("[1.", "0", JSON_NUMBER_MAX - 1, "]"), &too_long));
}
END_TEST

// Whoever is refused learns where.
START_TEST(test_place_of_a_fault) {
    static const char text[] = "{\"a\": [1, 2}";
    struct json_reader r;
    json_reader_init(&r, text, sizeof(text) - 1);
    ck_assert_int_eq(json_reader_step(&r, 1000), JSON_READ_BAD);
    ck_assert_uint_eq(r.at, 11);
    ck_assert_str_eq(r.fault, "',' or ']' is expected");
    json_reader_deinit(&r);
    json_reader_deinit(&r);
}
END_TEST

// Where a number is that none can hold, as the fields of problems are named.
START_TEST(test_path_of_a_value) {
    static const struct {
        const char *text, *path;
    } rows[] = {{"1e400", ""},
                {"{\"ttl_s\": 1e400}", "ttl_s"},
                {"{\"a\": {\"b\": 1}, \"to\": {\"x\": -}}", "to.x"},
                {"{\"messages\": [{}, {\"to\": 1, \"ttl_s\": 1e400}]}", "messages[1].ttl_s"},
                {"{\"to\": {\"users\": [\"a\", {\"b\": 0}, 1e400]}}", "to.users[2]"},
                {"[[1], [1, 99999999999999999999]]", "[1][1]"},
                {"{\"\": 1e400}", ""}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct json_reader r;
        struct buf path = BUF_EMPTY;
        json_reader_init(&r, rows[i].text, strlen(rows[i].text));
        ck_assert_int_eq(json_reader_step(&r, 1000), JSON_READ_BAD);
        ck_assert_msg(r.is_of_value, "%s", rows[i].text);
        json_reader_path(&r, &path);
        ck_assert_str_eq(buf_cstr(&path), rows[i].path);
        buf_free(&path);
        json_reader_deinit(&r);
    }
}
END_TEST

// Other faults are of no value: of the text, or of a name.
START_TEST(test_faults_of_no_value) {
    static const struct {
        const char *text, *why;
    } rows[] = {{"\xef\xbb\xbf{}", "byte order mark"},
                {"{\"a\": 1,}", "a name"},
                {"{\"a\": \"\x01\"}", "control"},
                {"{\"a\": ", "early"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct json_reader r;
        json_reader_init(&r, rows[i].text, strlen(rows[i].text));
        ck_assert_int_eq(json_reader_step(&r, 1000), JSON_READ_BAD);
        ck_assert(!r.is_of_value);
        ck_assert_ptr_nonnull(strstr(r.fault, rows[i].why));
        json_reader_deinit(&r);
    }
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("json_read");
    tcase_add_loop_test(test_case, test_whole, 0, SEEDS);
    tcase_add_loop_test(test_case, test_every_prefix, 0, SEEDS);
    tcase_add_loop_test(test_case, test_every_byte_spoiled, 0, SEEDS);
    tcase_add_test(test_case, test_pieces);
    tcase_add_loop_test(test_case, test_large, 0, 6);
    tcase_add_test(test_case, test_bounds);
    tcase_add_test(test_case, test_place_of_a_fault);
    tcase_add_test(test_case, test_path_of_a_value);
    tcase_add_test(test_case, test_faults_of_no_value);
    return run_case("json_read", test_case);
}
