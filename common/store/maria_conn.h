// One connection to a MariaDB, on libmariadb's non-blocking calls (maria_io.h). Statements are
// done one after the other, in the order in which they were asked. Each has a deadline, counted
// while the loop ran; a server that misses one is disconnected: the statement that was sent
// completes with -HW_EOUTCOME, those behind it with -HW_ESTORE. Reconnects by itself (backoff.h);
// names are resolved off the loop. TLS is not spoken.
//
// It is up when the server was found fit, and its tables are those of this program
// (maria_schema.h). A server is unfit that may forget what it has committed, that is read_only,
// older than 10.5, or takes statements of less than 4 MiB; it is asked again every 10 s.
#ifndef HW_MARIA_CONN_H
#define HW_MARIA_CONN_H

#include "log.h"
#include "maria_io.h"
#include "maria_schema.h"

enum {
    MARIA_QUEUE_BYTES_MAX = 64 * 1024 * 1024, // of statements that wait; over it they are refused
    MARIA_STATEMENT_BYTES_MAX = 4 * 1024 * 1024,
};

struct maria_conn;
struct maria_options {
    const char *url;     // checked; copied
    uint32_t timeout_ms; // per statement
    const struct maria_schema *schema;
    struct loop *loop;
    struct log *log;
    void (*on_state)(void *arg, bool up); // may be NULL
    void *arg;
};
// 0 or -EINVAL with the reason.
int maria_url_check(const char *url, struct buf *ret_error) HW_MUST_CHECK;
struct maria_conn *maria_conn_new(const struct maria_options *o);
// Not from a completion; completes what is open with -HW_ECANCELLED.
void maria_conn_free(struct maria_conn *c);
const char *maria_conn_down_reason(const struct maria_conn *c); // NULL = it is up

// error 0: it was done. -HW_ESTORE: it was not; answer, if there is one, has the server's code and
// reason. -HW_EOUTCOME: it may have been. The answer is valid during the call.
typedef void maria_done_fn(void *arg, int error, const struct maria_answer *answer);
// Never completes before it returns. Takes the statement's bytes. One that is too large, or comes
// when too many wait, is refused and counted.
void maria_ask(struct maria_conn *c, struct buf *statement, maria_done_fn *done, void *arg);

struct maria_counts {
    uint64_t statements, refused, late; // refused here, for want of place; late: deadlines missed
    uint64_t failed;                    // that the server refused
    uint64_t waiting, waiting_bytes;    // now, with the one that was sent
    uint64_t up_since_ms;               // as loop_now_ms; 0 = down
};
const struct maria_counts *maria_conn_counts(const struct maria_conn *c);
// What each daemon shows of them: a field of its own, whether it is a gauge, name and help.
#define MARIA_CONN_METRICS(X)                                                                      \
    X(statements, false, "mariadb_statements_total", "statements sent")                            \
    X(failed, false, "mariadb_statements_failed_total", "refused by MariaDB: the log says why")    \
    X(late, false, "mariadb_late_total", "statements that were not answered in time")              \
    X(up_s, true, "mariadb_connected_seconds",                                                     \
      "since when MariaDB is connected and fit; 0: it is not")

#endif
