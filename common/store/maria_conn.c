// Who the server is, and what is asked of it.
//
//   DOWN --resolve, connect--> CHECKED (fit? whose tables? made, where they lack) --> UP
//     ^                            | unfit, or not ours                              | unfit now
//     +---- backoff ---------------+-------- any end, late answer -------------------+
//
// While it is up it is asked every 10 s whether it is still fit.
#include "maria_conn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "backoff.h"
#include "deadline.h"

enum {
    FIT_MS = 10000,
    SCHEMA_STEP_MS = 10 * 60 * 1000, // an index over a large table
    ER_READ_ONLY = 1290,             // the server runs with an option that forbids it
};

struct statement {
    struct statement *next;
    struct buf text;
    size_t bytes;
    maria_done_fn *done;
    void *arg;
    int error; // in the failed list
};
struct statements {
    struct statement *first, **end;
};

enum maria_state { MARIA_DOWN, MARIA_RESOLVES, MARIA_CONNECTS, MARIA_IS_CHECKED, MARIA_UP };

struct maria_conn {
    struct loop *loop;
    struct log *log;
    struct maria_url url;
    uint32_t timeout_ms;
    void (*on_state)(void *arg, bool up);
    void *arg;
    enum maria_state state;
    struct maria_io io;
    struct maria_schema_walk walk;
    const struct maria_schema *schema; // borrowed, static
    struct os_resolve *resolving;
    struct timer retry, fit;
    struct deadline deadline; // of what was sent
    uint32_t expects_ms;      // how long after it was sent
    struct hook go;           // the next statement, and what has failed
    struct statements waiting, failed;
    bool is_sent, is_fit; // the first that waits is under way; it was found fit
    struct backoff backoff;
    char reason[MARIA_WHY_MAX], logged[MARIA_WHY_MAX];
    struct maria_counts counts;
};

static void try_maria(struct timer *t);
static void on_go(struct hook *h);

int maria_url_check(const char *url, struct buf *ret_error) {
    struct maria_url parsed;
    return maria_url_parse(url, &parsed, ret_error);
}

// --- statements

static void statements_add(struct statements *s, struct statement *k) {
    k->next = NULL;
    if (!s->first)
        s->end = &s->first;
    *s->end = k;
    s->end = &k->next;
}

static struct statement *statements_take(struct statements *s) {
    struct statement *k = s->first;
    if (k)
        s->first = k->next;
    return k;
}

static void statement_free(struct statement *k) {
    buf_free(&k->text);
    free(k);
}

static void statement_fail(struct maria_conn *c, struct statement *k, int error) {
    k->error = error;
    statements_add(&c->failed, k);
    hook_schedule(c->loop, &c->go, on_go);
}

static struct statement *take_first(struct maria_conn *c) {
    struct statement *k = statements_take(&c->waiting);
    c->counts.waiting--;
    c->counts.waiting_bytes -= k->bytes;
    return k;
}

// All that wait complete: the one that was sent may have been done.
static void statements_fail(struct maria_conn *c, int error) {
    while (c->waiting.first) {
        bool was_sent = c->is_sent;
        c->is_sent = false;
        statement_fail(c, take_first(c), was_sent && error == -HW_ESTORE ? -HW_EOUTCOME : error);
    }
}

// --- down

static void maria_went_down(struct maria_conn *c, const char *why) {
    bool was_up = c->state == MARIA_UP;
    uint64_t up_ms = was_up ? loop_now_ms(c->loop) - c->counts.up_since_ms : 0;
    snprintf(c->reason, sizeof(c->reason), "%s", why);
    c->state = MARIA_DOWN;
    c->is_fit = false;
    c->counts.up_since_ms = 0;
    deadline_clear(&c->deadline);
    loop_disarm(c->loop, &c->fit);
    maria_io_close(&c->io);
    statements_fail(c, -HW_ESTORE);
    if (was_up || strcmp(c->reason, c->logged) != 0)
        log_event(c->log, LOG_WARN, "mariadb down", "reason=%s up_ms=%llu",
                  log_quote_str(c->reason), (unsigned long long)up_ms);
    memcpy(c->logged, c->reason, sizeof(c->logged));
    loop_arm(c->loop, &c->retry,
             backoff_wait_ms(&c->backoff, loop_now_ms(c->loop), loop_rng(c->loop)), try_maria);
    if (was_up && c->on_state)
        c->on_state(c->arg, false);
}

static void on_maria_late(struct deadline *d) {
    struct maria_conn *c = container_of(d, struct maria_conn, deadline);
    char why[64];
    snprintf(why, sizeof(why), "no answer within %u ms", c->expects_ms);
    c->counts.late++;
    maria_went_down(c, why);
}

// From now: what waits for its turn is held up by others, not by an answer that does not come.
static void maria_expect(struct maria_conn *c, uint32_t ms) {
    c->expects_ms = ms;
    deadline_set(&c->deadline, c->loop, deadline_in(c->loop, ms), on_maria_late);
}

// --- whether it is fit, and whose tables it has

static void ask_itself(struct maria_conn *c, struct buf *text) {
    bool is_step = c->is_fit && c->walk.at == SCHEMA_MAKES;
    maria_expect(c, is_step ? SCHEMA_STEP_MS : c->timeout_ms);
    maria_io_query(&c->io, text);
}

static const char fit_columns[] =
    "SELECT @@version, @@global.innodb_flush_log_at_trx_commit, @@global.read_only, "
    "@@max_allowed_packet";

static const char *maria_unfit(const struct maria_answer *a) {
    unsigned major = 0, minor = 0;
    const char *version = maria_text_at(a, 0, 0).data;
    if (!version || sscanf(version, "%u.%u", &major, &minor) != 2 || major < 10 ||
        (major == 10 && minor < 5))
        return "it is older than MariaDB 10.5";
    if (!strstr(version, "MariaDB"))
        return "it is no MariaDB";
    if (maria_u64_at(a, 0, 1) != 1)
        return "its innodb_flush_log_at_trx_commit is not 1, so it may forget what it has "
               "committed";
    const char *read_only = maria_text_at(a, 0, 2).data;
    if (!read_only || (strcmp(read_only, "0") != 0 && strcasecmp(read_only, "OFF") != 0))
        return "it is read_only";
    if (maria_u64_at(a, 0, 3) < MARIA_STATEMENT_BYTES_MAX)
        return "its max_allowed_packet is below 4 MiB";
    return NULL;
}

static void ask_fit(struct maria_conn *c) {
    struct buf text = BUF_EMPTY;
    buf_append_str(&text, fit_columns);
    ask_itself(c, &text);
}

static void on_still_fit(void *arg, int error, const struct maria_answer *a) {
    struct maria_conn *c = arg;
    const char *why = error == 0 ? maria_unfit(a) : NULL;
    if (why)
        maria_went_down(c, why);
}

static void ask_still_fit(struct timer *t) {
    struct maria_conn *c = container_of(t, struct maria_conn, fit);
    struct buf text = BUF_EMPTY;
    loop_arm(c->loop, &c->fit, FIT_MS, ask_still_fit);
    buf_append_str(&text, fit_columns);
    maria_ask(c, &text, on_still_fit, c);
}

static void maria_came_up(struct maria_conn *c) {
    c->state = MARIA_UP;
    backoff_came_up(&c->backoff, loop_now_ms(c->loop));
    c->logged[0] = '\0';
    c->counts.up_since_ms = loop_now_ms(c->loop);
    deadline_clear(&c->deadline);
    loop_arm(c->loop, &c->fit, FIT_MS, ask_still_fit);
    log_event(c->log, LOG_INFO, "mariadb up", "schema=%llu",
              (unsigned long long)(c->walk.version - 1));
    hook_schedule(c->loop, &c->go, on_go);
    if (c->on_state)
        c->on_state(c->arg, true);
}

static void ask_schema(struct maria_conn *c) {
    struct buf text = BUF_EMPTY;
    if (maria_schema_next(&c->walk, &text))
        ask_itself(c, &text);
    else
        maria_came_up(c);
}

// What it was asked before it is up.
static void take_check(struct maria_conn *c, const struct maria_answer *a) {
    struct buf why = BUF_EMPTY;
    const char *unfit = a->code != 0 ? a->why : c->is_fit ? NULL : maria_unfit(a);
    if (unfit) {
        maria_went_down(c, unfit);
    } else if (!c->is_fit) {
        c->is_fit = true;
        maria_schema_begin(&c->walk, c->schema);
        ask_schema(c);
    } else if (maria_schema_take(&c->walk, a, &why)) {
        ask_schema(c);
    } else {
        maria_went_down(c, buf_cstr(&why));
    }
    buf_free(&why);
}

// --- what others ask

static void tell_refused_by_server(struct maria_conn *c, const struct maria_answer *a) {
    c->counts.failed++;
    log_event(c->log, LOG_WARN, "mariadb refused a statement", "code=%u reason=%s", a->code,
              log_quote_str(a->why));
}

static void statement_answered(struct maria_conn *c, const struct maria_answer *a) {
    struct statement *k = take_first(c);
    bool is_read_only = a->code == ER_READ_ONLY;
    if (a->code != 0)
        tell_refused_by_server(c, a);
    c->is_sent = false;
    deadline_clear(&c->deadline);
    k->done(k->arg, a->code == 0 ? 0 : -HW_ESTORE, a);
    statement_free(k);
    if (is_read_only && c->state == MARIA_UP)
        maria_went_down(c, "it is read_only");
    hook_schedule(c->loop, &c->go, on_go);
}

static void on_io_over(struct maria_io *io, bool is_lost) {
    struct maria_conn *c = container_of(io, struct maria_conn, io);
    if (is_lost)
        maria_went_down(c, io->answer.why);
    else if (c->state == MARIA_UP)
        statement_answered(c, &io->answer);
    else if (c->state == MARIA_IS_CHECKED)
        take_check(c, &io->answer);
    else { // connected
        c->state = MARIA_IS_CHECKED;
        ask_fit(c);
    }
}

static void tell_failed_statements(struct maria_conn *c) {
    for (struct statement *k; (k = statements_take(&c->failed)) != NULL;) {
        k->done(k->arg, k->error, NULL);
        statement_free(k);
    }
}

static void on_go(struct hook *h) {
    struct maria_conn *c = container_of(h, struct maria_conn, go);
    tell_failed_statements(c);
    if (c->state != MARIA_UP || c->is_sent || !c->waiting.first)
        return;
    c->is_sent = true;
    c->counts.statements++;
    maria_expect(c, c->timeout_ms);
    maria_io_query(&c->io, &c->waiting.first->text);
}

void maria_ask(struct maria_conn *c, struct buf *statement, maria_done_fn *done, void *arg) {
    struct statement *k = hw_calloc(1, sizeof(*k));
    *k = (struct statement){.text = *statement, .bytes = statement->len, .done = done, .arg = arg};
    *statement = BUF_EMPTY;
    bool is_over = k->bytes > MARIA_STATEMENT_BYTES_MAX ||
                   k->bytes > MARIA_QUEUE_BYTES_MAX - c->counts.waiting_bytes;
    if (c->state != MARIA_UP || is_over) {
        c->counts.refused += is_over ? 1 : 0;
        statement_fail(c, k, -HW_ESTORE);
        return;
    }
    c->counts.waiting++;
    c->counts.waiting_bytes += k->bytes;
    statements_add(&c->waiting, k);
    hook_schedule(c->loop, &c->go, on_go);
}

// --- connecting

static void connect_to(struct maria_conn *c, const char *numeric) {
    c->state = MARIA_CONNECTS;
    maria_expect(c, c->timeout_ms);
    maria_io_connect(&c->io, &c->url, numeric);
}

static void on_maria_resolved(void *arg, int error, const struct sock_addr *addrs, int count) {
    struct maria_conn *c = arg;
    char text[64];
    struct host_port numeric;
    c->resolving = NULL;
    if (count == 0) {
        maria_went_down(c, hw_strerror(error));
        return;
    }
    sock_addr_format(&addrs[c->backoff.attempts % (uint32_t)count], text, sizeof(text));
    if (host_port_parse(text, false, &numeric) != 0)
        abort();
    connect_to(c, numeric.host);
}

static void try_maria(struct timer *t) {
    struct maria_conn *c = container_of(t, struct maria_conn, retry);
    struct sock_addr numeric;
    if (c->url.unix_socket || sock_addr_parse(c->url.host, c->url.port, &numeric) == 0) {
        connect_to(c, c->url.host);
        return;
    }
    c->state = MARIA_RESOLVES;
    c->resolving = os_resolve(loop_os(c->loop), c->url.host, c->url.port, on_maria_resolved, c);
}

// --- life

struct maria_conn *maria_conn_new(const struct maria_options *o) {
    struct maria_conn *c = hw_calloc(1, sizeof(*c));
    *c = (struct maria_conn){.loop = o->loop,
                             .log = o->log,
                             .timeout_ms = o->timeout_ms,
                             .schema = o->schema,
                             .on_state = o->on_state,
                             .arg = o->arg,
                             .io = {.loop = o->loop, .over = on_io_over},
                             .reason = "not connected yet"};
    struct buf error = BUF_EMPTY;
    if (maria_url_parse(o->url, &c->url, &error) != 0)
        abort();              // checked by the configuration
    signal(SIGPIPE, SIG_IGN); // not each of the ways in which libmariadb writes says MSG_NOSIGNAL
    loop_arm(c->loop, &c->retry, 0, try_maria);
    return c;
}

void maria_conn_free(struct maria_conn *c) {
    if (!c)
        return;
    c->state = MARIA_DOWN;
    if (c->resolving)
        os_resolve_cancel(loop_os(c->loop), c->resolving);
    deadline_clear(&c->deadline);
    loop_disarm(c->loop, &c->retry);
    loop_disarm(c->loop, &c->fit);
    maria_io_deinit(&c->io);
    statements_fail(c, -HW_ECANCELLED);
    for (struct statement *k = c->failed.first; k; k = k->next)
        k->error = -HW_ECANCELLED;
    tell_failed_statements(c);
    hook_stop(&c->go);
    free(c);
}

const char *maria_conn_down_reason(const struct maria_conn *c) {
    return c->state == MARIA_UP ? NULL : c->reason;
}

const struct maria_counts *maria_conn_counts(const struct maria_conn *c) {
    return &c->counts;
}
