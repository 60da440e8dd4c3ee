// Positions: what is saved is read back, by key; the file survives a crash at any moment of writing
// because it is replaced whole; every way to spoil it is an error that leaves it as it was.
#include "suite.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "crypto.h"
#include "hawser.h"
#include "positions.h"
#include "token.h"

static char folder[] = "/tmp/hawser-positions-XXXXXX";
static char path[sizeof(folder) + 16], lock_path[sizeof(path) + 8], new_path[sizeof(path) + 8];
static char error[HAWSER_ERROR_BYTES];

static void setup(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/positions", folder);
    snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    snprintf(new_path, sizeof(new_path), "%s.new", path);
}

static void teardown(void) {
    unlink(path);
    unlink(lock_path);
    ck_assert_int_eq(rmdir(folder), 0); // nothing else is left behind
}

static struct position_record *record_of(uint64_t seed) {
    struct position_record *r = hw_calloc(1, sizeof(*r));
    for (size_t i = 0; i < POSITION_STREAMS; i++)
        r->stream[i] = (struct position){.epoch = seed + i, .seq = seed * 1000 + i};
    char id[32];
    for (uint64_t i = 0; i < seed; i++) {
        snprintf(id, sizeof(id), "id-%llu", (unsigned long long)i);
        recent_ids_add(&r->recent, recent_id(id));
    }
    return r;
}

static const struct position_key keys[] = {
    {"chat", "ann", "phone"},
    {"chat", "ann", "tablet"},
    {"chat", "line\nbreak and spaces", "phone"},
    {"news", "\xc3\xa4nn", "phone"},
};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static void save_one(struct position_store *s, size_t key, uint64_t seed) {
    struct position_record *r = record_of(seed);
    struct position_change change = {.key = keys[key], .record = r};
    ck_assert_int_eq(s->save(s, &change, 1), 0);
    free(r);
}

static void check_one(struct position_store *s, size_t key, uint64_t seed) {
    struct position_record *want = record_of(seed), *got = hw_calloc(1, sizeof(*got));
    ck_assert(s->load(s, &keys[key], got));
    ck_assert_mem_eq(got->stream, want->stream, sizeof(got->stream));
    for (uint64_t i = 0; i < seed + 5; i++) {
        char id[32];
        snprintf(id, sizeof(id), "id-%llu", (unsigned long long)i);
        ck_assert_int_eq(recent_ids_has(&got->recent, recent_id(id)),
                         recent_ids_has(&want->recent, recent_id(id)));
    }
    free(want);
    free(got);
}

START_TEST(test_recent_ids_are_the_last_1024) {
    struct position_record *r = record_of(1500);
    ck_assert(!recent_ids_has(&r->recent, recent_id("id-475")));
    ck_assert(recent_ids_has(&r->recent, recent_id("id-476")));
    ck_assert(recent_ids_has(&r->recent, recent_id("id-1499")));
    ck_assert(!recent_ids_has(&r->recent, recent_id("")));
    recent_ids_add(&r->recent, recent_id(""));
    ck_assert(recent_ids_has(&r->recent, recent_id("id-476")));
    free(r);
}
END_TEST

static const uint64_t seeds[] = {0, 1, 4, 5, 700, 1024, 1700};

START_TEST(test_file_round_trip) {
    setup();
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        struct position_store *s = positions_file_new(path, error, sizeof(error));
        ck_assert_ptr_nonnull(s);
        for (size_t k = 0; k < KEYS; k++)
            save_one(s, k, seeds[i] + k);
        s->close(s);
        s = positions_file_new(path, error, sizeof(error));
        ck_assert_msg(s != NULL, "%s", error);
        for (size_t k = 0; k < KEYS; k++)
            check_one(s, k, seeds[i] + k);
        struct position_record *none = hw_calloc(1, sizeof(*none));
        ck_assert(!s->load(s, &(struct position_key){"chat", "bob", "phone"}, none));
        free(none);
        s->close(s);
    }
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    teardown();
}
END_TEST

START_TEST(test_memory) {
    struct position_store *s = positions_memory_new();
    save_one(s, 0, 7);
    save_one(s, 1, 8);
    save_one(s, 0, 9);
    check_one(s, 0, 9);
    check_one(s, 1, 8);
    s->close(s);
}
END_TEST

START_TEST(test_locked) {
    setup();
    struct position_store *s = positions_file_new(path, error, sizeof(error));
    ck_assert_ptr_null(positions_file_new(path, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "in use"));
    s->close(s);
    s = positions_file_new(path, error, sizeof(error));
    ck_assert_ptr_nonnull(s);
    s->close(s);
    teardown();
}
END_TEST

static struct buf read_file(void) {
    struct buf b = BUF_EMPTY;
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, buf_reserve(&b, 1 << 20), 1 << 20);
    ck_assert_int_gt(got, 0);
    b.len = (size_t)got;
    close(fd);
    return b;
}

static void write_file(const uint8_t *data, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static void check_refused(const uint8_t *data, size_t len) {
    write_file(data, len);
    error[0] = '\0';
    ck_assert_ptr_null(positions_file_new(path, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "spoiled"));
    struct buf after = read_file();
    ck_assert_uint_eq(after.len, len);
    ck_assert_mem_eq(after.data, data, len);
    buf_free(&after);
}

START_TEST(test_spoiled_is_an_error_and_stays) {
    setup();
    struct position_store *s = positions_file_new(path, error, sizeof(error));
    save_one(s, 0, 6);
    s->close(s);
    struct buf good = read_file();
    for (size_t cut = 1; cut < good.len; cut++)
        check_refused(good.data, cut);
    for (size_t at = 0; at < good.len; at++) {
        good.data[at] ^= 0x11;
        check_refused(good.data, good.len);
        good.data[at] ^= 0x11;
    }
    write_file(good.data, good.len);
    s = positions_file_new(path, error, sizeof(error));
    ck_assert_ptr_nonnull(s);
    s->close(s);
    buf_free(&good);
    teardown();
}
END_TEST

// Whoever may write to the folder plants a link where the new file will be: what it leads to stays
// as it is.
START_TEST(test_planted_link) {
    setup();
    char victim[sizeof(path) + 8];
    snprintf(victim, sizeof(victim), "%s/victim", folder);
    int fd = open(victim, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "precious", 8), 8);
    close(fd);
    ck_assert_int_eq(symlink(victim, new_path), 0);
    struct position_store *s = positions_file_new(path, error, sizeof(error));
    save_one(s, 0, 6);
    s->close(s);
    char kept[16] = "";
    fd = open(victim, O_RDONLY);
    ck_assert_int_eq(read(fd, kept, sizeof(kept)), 8);
    close(fd);
    ck_assert_str_eq(kept, "precious");
    s = positions_file_new(path, error, sizeof(error));
    check_one(s, 0, 6);
    s->close(s);
    // The same for the lock.
    unlink(lock_path);
    unlink(victim);
    ck_assert_int_eq(symlink(victim, lock_path), 0);
    ck_assert_ptr_null(positions_file_new(path, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "cannot lock"));
    ck_assert_int_ne(access(victim, F_OK), 0);
    teardown();
}
END_TEST

// What is no file is refused at once: a pipe without a writer would be waited for for ever.
START_TEST(test_no_file) {
    setup();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_ptr_null(positions_file_new(path, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "not a file"));
    unlink(path);
    unlink(lock_path);
    ck_assert_int_eq(mkfifo(lock_path, 0600), 0);
    ck_assert_ptr_null(positions_file_new(path, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "cannot lock"));
    teardown();
}
END_TEST

static void write_many(unsigned count) {
    struct buf b = BUF_EMPTY;
    uint8_t digest[32];
    char sum[33];
    buf_append_str(&b, "hawser-positions 1\n");
    for (unsigned i = 0; i < count; i++)
        buf_printf(&b, "of 63 3%u3%u3%u3%u3%u 64\nat 1 %u 1 2 1 3\n", i / 10000, i / 1000 % 10,
                   i / 100 % 10, i / 10 % 10, i % 10, i); // the user is i in five digits
    crypto_sha256(b.data, b.len, digest);
    hex_encode(digest, 16, sum);
    buf_printf(&b, "sum %s\n", sum);
    write_file(b.data, b.len);
    buf_free(&b);
}

// 60,000 entries are read in a moment (a list would be walked for minutes), and the next save keeps
// those that were used last.
START_TEST(test_many_entries) {
    setup();
    write_many(60000);
    for (int i = 0; i < 2; i++) {
        struct position_store *s = positions_file_new(path, error, sizeof(error));
        ck_assert_msg(s != NULL, "%s", error);
        struct position_record *r = hw_calloc(1, sizeof(*r));
        // The first one of the file is in use, the others are not.
        ck_assert(s->load(s, &(struct position_key){"c", "00000", "d"}, r));
        ck_assert_uint_eq(r->stream[0].seq, 0);
        ck_assert(i == 0 || !s->load(s, &(struct position_key){"c", "00001", "d"}, r));
        free(r);
        save_one(s, 0, 3);
        s->close(s);
    }
    struct buf b = read_file();
    size_t entries = 0;
    for (const char *at = buf_cstr(&b); (at = strstr(at, "\nof ")); at++)
        entries++;
    ck_assert_uint_eq(entries, 1024);
    buf_free(&b);
    teardown();
}
END_TEST

START_TEST(test_empty_file_is_spoiled) {
    setup();
    write_file((const uint8_t *)"", 0);
    ck_assert_ptr_null(positions_file_new(path, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "spoiled"));
    teardown();
}
END_TEST

START_TEST(test_missing_folder) {
    ck_assert_ptr_null(positions_file_new("/tmp/hawser-no-such-folder/p", error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "No such file"));
}
END_TEST

// Claims without a signature check; what is no JWT is opaque, never an error.
static const struct {
    const char *token, *product, *user;
} tokens[] = {
    {"e30.eyJhdWQiOiJjaGF0Iiwic3ViIjoiYW5uIn0.x", "chat", "ann"},
    {"e30.eyJhdWQiOlsiY2hhdCJdLCJzdWIiOiJhbm4ifQ.x", "chat", "ann"}, // an array of one
    {"e30.eyJhdWQiOlsiYSIsImIiXSwic3ViIjoiYW5uIn0.x", NULL, NULL},   // of two
    {"e30.eyJhdWQiOiJjaGF0In0.x", NULL, NULL},                       // no sub
    {"e30.e30.x", NULL, NULL},
    {"e30.W10.x", NULL, NULL}, // not an object
    {"e30.!!!!.x", NULL, NULL},
    {"e30.e3.x", NULL, NULL},
    {"e30..x", NULL, NULL},
    {"opaque", NULL, NULL},
    {"", NULL, NULL},
};

START_TEST(test_token_claims) {
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct token_claims claims;
        token_claims_read(tokens[i].token, &claims);
        ck_assert_pstr_eq(claims.product, tokens[i].product);
        ck_assert_pstr_eq(claims.user, tokens[i].user);
        token_claims_free(&claims);
    }
}
END_TEST

RUN_TESTS("positions", test_recent_ids_are_the_last_1024, test_file_round_trip, test_memory,
          test_locked, test_spoiled_is_an_error_and_stays, test_planted_link, test_no_file,
          test_many_entries, test_empty_file_is_spoiled, test_missing_folder, test_token_claims)
