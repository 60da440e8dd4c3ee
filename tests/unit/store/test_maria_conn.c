// The connection to MariaDB against a private mariadbd: every statement completes once, also when
// the server is unfit, frozen, killed, or has another's tables; and the connection heals by itself.
#include "mariadb_server.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "maria_conn.h"

static const char *const steps[] = {
    "CREATE TABLE IF NOT EXISTS first (n BIGINT UNSIGNED PRIMARY KEY, b MEDIUMBLOB) ENGINE=InnoDB",
    "ALTER TABLE first ADD COLUMN IF NOT EXISTS more INT", NULL};
static const struct maria_schema schema = {steps};

static struct os *os;
static struct loop *loop;

struct said {
    int completions, error;
    unsigned code;
    size_t rows;
    uint64_t affected, number;
    char text[200];
    size_t len;
    bool is_null;
};

static void on_said(void *arg, int error, const struct maria_answer *a) {
    struct said *s = arg;
    s->completions++;
    s->error = error;
    if (!a)
        return;
    struct maria_text text = maria_text_at(a, 0, 1);
    s->code = a->code;
    s->rows = maria_rows(a);
    s->affected = maria_affected(a);
    s->number = maria_u64_at(a, 0, 0);
    s->is_null = text.data == NULL;
    s->len = text.len < sizeof(s->text) ? text.len : sizeof(s->text);
    memcpy(s->text, text.data ? text.data : "", s->len);
}

static struct maria_conn *conn_to(const char *url, uint32_t timeout_ms) {
    return maria_conn_new(&(struct maria_options){
        .url = url, .timeout_ms = timeout_ms, .schema = &schema, .loop = loop});
}

static void loop_open(void) {
    os = os_new();
    loop = loop_new(os);
}

static void loop_close(void) {
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static void ask(struct maria_conn *c, struct said *s, const char *format, ...) HW_PRINTF(3, 4);
static void ask(struct maria_conn *c, struct said *s, const char *format, ...) {
    struct buf text = BUF_EMPTY;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    *s = (struct said){0};
    maria_ask(c, &text, on_said, s);
    ck_assert_int_eq(s->completions, 0);
}

static void wait_said(struct said *s) {
    while (s->completions == 0)
        loop_step(loop, -1);
    ck_assert_int_eq(s->completions, 1);
}

static void until_up(struct maria_conn *c) {
    while (maria_conn_down_reason(c))
        loop_step(loop, -1);
}

static void until_down(struct maria_conn *c, const char *reason) {
    while (!maria_conn_down_reason(c) || !strstr(maria_conn_down_reason(c), reason))
        loop_step(loop, -1);
}

// Statements are done in their order; bytes, NULL and refusals come as they are.
START_TEST(test_statements) {
    struct said s, more[3];
    maria_start(NULL);
    loop_open();
    struct maria_conn *c = conn_to(maria_url, 20000);
    ask(c, &s, "SELECT 1");
    wait_said(&s);
    ck_assert_int_eq(s.error, -HW_ESTORE); // down
    until_up(c);
    ask(c, &more[0], "INSERT INTO first (n, b) VALUES (7, x'00ff0a'), (8, NULL)");
    ask(c, &more[1], "SELECT n, b FROM first WHERE n = 7");
    ask(c, &more[2], "SELECT n, b FROM first ORDER BY n DESC");
    ask(c, &s, "INSERT INTO first (n) VALUES (7)");
    wait_said(&s);
    ck_assert_int_eq(s.error, -HW_ESTORE);
    ck_assert_uint_eq(s.code, 1062);
    ck_assert_uint_eq(more[0].affected, 2);
    ck_assert_uint_eq(more[1].number, 7);
    ck_assert_uint_eq(more[1].len, 3);
    ck_assert_mem_eq(more[1].text, "\0\xff\n", 3);
    ck_assert_uint_eq(more[2].rows, 2);
    ck_assert(more[2].is_null);
    ask(c, &s, "SELECT n, b FROM first WHERE n = 9");
    wait_said(&s);
    ck_assert(s.error == 0 && s.rows == 0);
    ck_assert_uint_eq(maria_conn_counts(c)->statements, 5);
    ck_assert_uint_eq(maria_conn_counts(c)->waiting, 0);
    ck_assert_uint_eq(maria_conn_counts(c)->waiting_bytes, 0);
    maria_conn_free(c);
    loop_close();
    maria_stop();
}
END_TEST

// A server that may forget, or that takes nothing, is not used; it is as soon as it is fit.
START_TEST(test_unfit) {
    struct said s;
    char url[200];
    maria_start("--innodb-flush-log-at-trx-commit=2");
    loop_open();
    struct maria_conn *c = conn_to(maria_url, 20000);
    until_down(c, "innodb_flush_log_at_trx_commit is not 1");
    maria_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL read_only = 1;");
    until_down(c, "read_only");
    maria_sql("SET GLOBAL read_only = 0;");
    until_up(c);
    maria_sql("SET GLOBAL read_only = 1;");
    ask(c, &s, "INSERT INTO first (n) VALUES (1)");
    wait_said(&s);
    ck_assert_int_eq(s.error, -HW_ESTORE);
    until_down(c, "read_only");
    maria_sql("SET GLOBAL read_only = 0; SET GLOBAL max_allowed_packet = 1048576;");
    until_down(c, "max_allowed_packet");
    maria_conn_free(c);
    snprintf(url, sizeof(url), "unix://hawser:wrong@%s/s?db=hawser", maria_dir);
    c = conn_to(url, 20000);
    until_down(c, "Access denied");
    ck_assert_ptr_null(strstr(maria_conn_down_reason(c), "wrong"));
    maria_conn_free(c);
    loop_close();
    maria_stop();
}
END_TEST

// A frozen server: what was sent may be done, what waits was not; it thaws, and all goes on.
START_TEST(test_frozen) {
    struct said sent, waits, s;
    maria_start(NULL);
    loop_open();
    struct maria_conn *c = conn_to(maria_url, 20000);
    until_up(c);
    maria_conn_free(c);
    c = conn_to(maria_url, 300);
    until_up(c);
    uint64_t late = maria_conn_counts(c)->late; // a loaded machine may have been late before
    maria_freeze();
    ask(c, &sent, "INSERT INTO first (n) VALUES (1)");
    ask(c, &waits, "INSERT INTO first (n) VALUES (2)");
    wait_said(&waits);
    ck_assert_int_eq(sent.error, -HW_EOUTCOME);
    ck_assert_int_eq(waits.error, -HW_ESTORE);
    ck_assert_uint_eq(maria_conn_counts(c)->late, late + 1);
    until_down(c, "no answer within 300 ms");
    while (maria_conn_counts(c)->late <
           late + 2) // its kernel takes the connection, and it says nothing
        loop_step(loop, -1);
    kill(maria_pid, SIGCONT);
    do { // until it is answered in time
        until_up(c);
        ask(c, &s, "SELECT n FROM first WHERE n = 2");
        wait_said(&s);
    } while (s.error != 0);
    ck_assert_uint_eq(s.rows, 0);
    maria_conn_free(c);
    loop_close();
    maria_stop();
}
END_TEST

// Killed in the middle of a statement, and started again.
START_TEST(test_killed) {
    struct said s;
    maria_start(NULL);
    loop_open();
    struct maria_conn *c = conn_to(maria_url, 20000);
    until_up(c);
    ask(c, &s, "SELECT SLEEP(100)");
    while (maria_conn_counts(c)->statements == 0)
        loop_step(loop, -1);
    maria_kill();
    wait_said(&s);
    ck_assert_int_eq(s.error, -HW_EOUTCOME);
    ck_assert_ptr_nonnull(maria_conn_down_reason(c));
    ask(c, &s, "SELECT 1");
    wait_said(&s);
    ck_assert_int_eq(s.error, -HW_ESTORE);
    maria_run(NULL);
    until_up(c);
    maria_kill(); // idle
    until_down(c, "");
    maria_conn_free(c);
    loop_close();
    maria_stop();
}
END_TEST

// What is too large is refused before it is sent, or ends the connection; too many wait nowhere.
START_TEST(test_bounds) {
    struct said s, many[20];
    maria_start(NULL);
    loop_open();
    struct maria_conn *c = conn_to(maria_url, 20000);
    until_up(c);
    ask(c, &s, "SELECT '%*s'", MARIA_STATEMENT_BYTES_MAX, "");
    wait_said(&s);
    ck_assert_int_eq(s.error, -HW_ESTORE);
    ck_assert_uint_eq(maria_conn_counts(c)->refused, 1);
    ck_assert_uint_eq(maria_conn_counts(c)->statements, 0);
    for (int i = 0; i < 20; i++)
        ask(c, &many[i], "DO LENGTH('%*s')", MARIA_STATEMENT_BYTES_MAX - 100, "");
    ck_assert_uint_le(maria_conn_counts(c)->waiting_bytes, MARIA_QUEUE_BYTES_MAX);
    for (int i = 0; i < 20; i++)
        wait_said(&many[i]);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(many[i].error, i < 16 ? 0 : -HW_ESTORE);
    ck_assert_uint_eq(maria_conn_counts(c)->refused, 5);
    ask(c, &s,
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 40) "
        "SELECT n, REPEAT('x', 1000000) FROM r");
    wait_said(&s);
    ck_assert_int_eq(s.error, -HW_EOUTCOME);
    until_down(c, "an answer that is too large");
    until_up(c);
    ask(c, &s,
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 900) "
        "SELECT n, 2 FROM r");
    wait_said(&s);
    ck_assert_uint_eq(s.rows, 900);
    maria_conn_free(c);
    loop_close();
    maria_stop();
}
END_TEST

// --- the tables

static uint64_t versions(struct maria_conn *c) {
    struct said s;
    until_up(c);
    ask(c, &s, "SELECT COUNT(*) * 100 + MAX(version) FROM hawser_schema");
    wait_said(&s);
    ck_assert_int_eq(s.error, 0);
    return s.number;
}

// Several daemons at once make the tables once, also behind one that died between a step and its
// version; a newer program's are taken when they only add, and another program's never.
START_TEST(test_schema) {
    struct maria_conn *all[4];
    maria_start(NULL);
    loop_open();
    maria_sql("CREATE TABLE alien (n INT);");
    for (int i = 0; i < 4; i++)
        all[i] = conn_to(maria_url, 20000);
    until_down(all[0], "it is another program's");
    maria_sql("DROP TABLE alien;");
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(versions(all[i]), 202);
    maria_sql("DELETE FROM hawser_schema WHERE version = 2;");
    maria_conn_free(all[0]);
    all[0] = conn_to(maria_url, 20000);
    ck_assert_uint_eq(versions(all[0]), 202);
    maria_sql("INSERT INTO hawser_schema (version, only_adds) VALUES (3, 1);");
    maria_conn_free(all[1]);
    all[1] = conn_to(maria_url, 20000);
    ck_assert_uint_eq(versions(all[1]), 303);
    maria_sql("INSERT INTO hawser_schema (version, only_adds) VALUES (4, 0), (5, 1);");
    maria_conn_free(all[2]);
    all[2] = conn_to(maria_url, 20000);
    until_down(all[2], "version 4, which changes what this program, of version 2, knows");
    for (int i = 0; i < 4; i++)
        maria_conn_free(all[i]);
    loop_close();
    maria_stop();
}
END_TEST

// --- ending, and peers that are no MariaDB

// The connection ends in whatever it does: connecting to a frozen server, or with statements open.
START_TEST(test_ends) {
    struct said sent, waits;
    maria_start(NULL);
    loop_open();
    struct maria_conn *c = conn_to(maria_url, 20000);
    until_up(c);
    ask(c, &sent, "SELECT SLEEP(100)");
    ask(c, &waits, "SELECT 1");
    while (maria_conn_counts(c)->statements == 0)
        loop_step(loop, -1);
    maria_conn_free(c);
    ck_assert_int_eq(sent.completions + waits.completions, 2);
    ck_assert(sent.error == -HW_ECANCELLED && waits.error == -HW_ECANCELLED);
    maria_freeze();
    c = conn_to(maria_url, 20000);
    loop_step(loop, -1);
    loop_step(loop, 10);
    maria_conn_free(c);
    c = conn_to(maria_url, 20000);
    ask(c, &sent, "SELECT 1");
    maria_conn_free(c);
    ck_assert_int_eq(sent.error, -HW_ECANCELLED);
    loop_close();
    maria_stop();
}
END_TEST

struct speech {
    const char *bytes;
    size_t len;
    bool ends; // the connection, behind it
};
static const struct speech speeches[] = {
    {"", 0, true},
    {"", 0, false},
    {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, true},
    {"\xff\xff\xff\x00\x0a", 5, false},        // a packet of 16 MiB
    {"\xff\xff\xff\xff\xff\xff\xff", 7, true}, // an error
    {"\x01\x00\x00\x00\x0a", 5, false},        // a greeting without anything in it
    {"\x05\x00\x00\x00\x0a"
     "9.9\x00",
     9, true}, // that ends behind its version
};

// Whatever a peer says that is no MariaDB, the connection is down with a reason and tries again.
START_TEST(test_strange_peers) {
    const struct speech *speech = &speeches[_i];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    char url[80];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), peers[2];
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    snprintf(url, sizeof(url), "mariadb://u:p@127.0.0.1:%u/d", ntohs(at.sin_port));
    loop_open();
    struct maria_conn *c = conn_to(url, 200);
    for (int i = 0; i < 2; i++) { // it comes again
        while ((peers[i] = accept(listener, NULL, NULL)) < 0)
            loop_step(loop, 1);
        if (speech->len > 0)
            ck_assert_int_eq(send(peers[i], speech->bytes, speech->len, MSG_NOSIGNAL),
                             (ssize_t)speech->len);
        if (speech->ends)
            shutdown(peers[i], SHUT_WR);
    }
    ck_assert_str_ne(maria_conn_down_reason(c), "not connected yet");
    maria_conn_free(c);
    for (int i = 0; i < 2; i++)
        close(peers[i]);
    close(listener);
    loop_close();
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("maria_conn");
    maria_template_make();
    tcase_add_test(test_case, test_statements);
    tcase_add_test(test_case, test_unfit);
    tcase_add_test(test_case, test_frozen);
    tcase_add_test(test_case, test_killed);
    tcase_add_test(test_case, test_bounds);
    tcase_add_test(test_case, test_schema);
    tcase_add_test(test_case, test_ends);
    tcase_add_loop_test(test_case, test_strange_peers, 0, sizeof(speeches) / sizeof(speeches[0]));
    int code = run_case("maria_conn", test_case);
    maria_template_free();
    return code;
}
