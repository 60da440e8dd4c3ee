#include "maria_io.h"

#include <assert.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDINGS_MAX = 1000 }; // of a coroutine that is told that its time is over

// --- the answer

size_t maria_rows(const struct maria_answer *a) {
    return a->columns ? a->count / a->columns : 0;
}

uint64_t maria_affected(const struct maria_answer *a) {
    return a->affected;
}

struct maria_text maria_text_at(const struct maria_answer *a, size_t row, size_t column) {
    size_t i = row * a->columns + column;
    if (column >= a->columns || i >= a->count || a->cell[i].is_null)
        return (struct maria_text){NULL, 0};
    return (struct maria_text){(const char *)a->bytes.data + a->cell[i].at, a->cell[i].len};
}

uint64_t maria_u64_at(const struct maria_answer *a, size_t row, size_t column) {
    struct maria_text text = maria_text_at(a, row, column);
    return text.data ? strtoull(text.data, NULL, 10) : 0;
}

static void answer_reset(struct maria_answer *a) {
    a->code = 0;
    a->is_of_values = false;
    a->why[0] = '\0';
    a->affected = 0;
    a->columns = a->count = 0;
    buf_reset(&a->bytes);
}

static void answer_why(struct maria_answer *a, const char *why) {
    snprintf(a->why, sizeof(a->why), "%s", why);
    for (char *at = a->why; *at; at++) // it may be the peer's text
        if (*at < ' ' || *at > '~')
            *at = '?';
}

static bool answer_add(struct maria_answer *a, const char *data, size_t len) {
    if (a->count == MARIA_CELLS_MAX || len + 1 > MARIA_ANSWER_BYTES_MAX - a->bytes.len)
        return false;
    if (a->count == a->cells_max) {
        a->cells_max = a->cells_max ? 2 * a->cells_max : 16;
        a->cell = hw_realloc(a->cell, a->cells_max * sizeof(a->cell[0]));
    }
    a->cell[a->count++] = (struct maria_cell){a->bytes.len, len, data == NULL};
    if (data)
        buf_append(&a->bytes, data, len);
    buf_append(&a->bytes, "", 1);
    return true;
}

// --- closing

static int go_on_with(struct maria_io *io, int what, void *ret) {
    switch (io->op) {
    case MARIA_CONNECT:
        return mysql_real_connect_cont(ret, io->mysql, what);
    case MARIA_QUERY:
        return mysql_real_query_cont(ret, io->mysql, what);
    case MARIA_FETCH:
        return mysql_fetch_row_cont(ret, io->rows, what);
    case MARIA_IDLE:
        break;
    }
    return 0;
}

union maria_returned { // by an operation
    MYSQL *mysql;
    MYSQL_ROW row;
    int error;
};

static void end_coroutine(struct maria_io *io) {
    union maria_returned ret;
    for (int i = 0; go_on_with(io, MYSQL_WAIT_TIMEOUT, &ret) != 0; i++)
        assert(i < ENDINGS_MAX);
    io->op = MARIA_IDLE;
}

// What the server has yet to say of them is not read: with a handle it would be, however much it
// is.
static void end_rows(struct maria_io *io) {
    if (io->rows) {
        io->rows->handle = NULL;
        mysql_free_result(io->rows);
    }
    io->rows = NULL;
}

// is_waiting: a coroutine has yet to return.
static void maria_io_end(struct maria_io *io, bool is_waiting) {
    int i = 0;
    if (io->watch) // the descriptor is closed below
        watch_end(io->watch);
    io->watch = NULL;
    if (is_waiting)
        end_coroutine(io);
    end_rows(io);
    if (io->mysql)
        for (int wait = mysql_close_start(io->mysql); wait != 0; i++) {
            assert(i < ENDINGS_MAX);
            wait = mysql_close_cont(io->mysql, MYSQL_WAIT_TIMEOUT);
        }
    io->mysql = NULL;
    io->op = MARIA_IDLE;
}

void maria_io_close(struct maria_io *io) {
    maria_io_end(io, io->op != MARIA_IDLE);
}

void maria_io_deinit(struct maria_io *io) {
    maria_io_close(io);
    buf_free(&io->statement);
    buf_free(&io->answer.bytes);
    free(io->answer.cell);
    io->answer = (struct maria_answer){0};
}

// --- what is under way

static void on_maria_fd(void *arg, int fd, uint32_t events);

static void wait_for(struct maria_io *io, int what) {
    uint32_t events = ((what & MYSQL_WAIT_READ) ? OS_READABLE : 0U) |
                      ((what & MYSQL_WAIT_WRITE) ? OS_WRITABLE : 0U);
    if (io->watch)
        watch_set(io->watch, events);
    else
        io->watch = loop_watch(io->loop, (int)mysql_get_socket(io->mysql), events, on_maria_fd, io);
}

static void maria_io_lost(struct maria_io *io, const char *why) {
    answer_why(&io->answer, why);
    maria_io_end(io, false);
    io->over(io, true);
}

// Data that does not fit, a constraint, a trigger's own refusal. A full disk
// is HY000, a deadlock 40001.
static bool state_is_of_values(const char *sqlstate) {
    static const char classes[][3] = {"22", "23", "44", "45"};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strncmp(sqlstate, classes[i], 2) == 0)
            return true;
    return false;
}

// The others are libmariadb's own: from 2000 on, and from 5000 on.
static bool code_is_of_server(unsigned code) {
    return (code > 0 && code < 2000) || (code >= 3000 && code < 5000);
}

// A refusal leaves the connection as it was; else it is gone.
static void maria_io_failed(struct maria_io *io) {
    unsigned code = mysql_errno(io->mysql);
    bool is_refusal = io->op != MARIA_CONNECT && mysql_sqlstate(io->mysql) &&
                      code_is_of_server(code) && (int)mysql_get_socket(io->mysql) >= 0;
    char why[MARIA_WHY_MAX];
    snprintf(why, sizeof(why), "%s", mysql_error(io->mysql));
    if (!is_refusal) {
        maria_io_lost(io, why[0] ? why : "the connection was lost");
        return;
    }
    end_rows(io);
    answer_why(&io->answer, why);
    io->answer.code = code;
    io->answer.is_of_values = state_is_of_values(mysql_sqlstate(io->mysql));
    io->op = MARIA_IDLE;
    wait_for(io, MYSQL_WAIT_READ);
    io->over(io, false);
}

static void maria_io_done(struct maria_io *io) {
    end_rows(io);
    io->op = MARIA_IDLE;
    wait_for(io, MYSQL_WAIT_READ); // an idle one that says something says that it ends
    io->over(io, false);
}

// False: it is too large, and lost.
static bool take_row(struct maria_io *io, MYSQL_ROW row) {
    const unsigned long *len = mysql_fetch_lengths(io->rows);
    for (size_t i = 0; i < io->answer.columns; i++)
        if (!answer_add(&io->answer, row[i], len[i]))
            return false;
    return true;
}

// The next rows until it waits: 0, or what for.
static int fetch_rows(struct maria_io *io, MYSQL_ROW row, bool *ret_is_too_large) {
    io->op = MARIA_FETCH;
    while (row) {
        if (!take_row(io, row)) {
            *ret_is_too_large = true;
            return 0;
        }
        int wait = mysql_fetch_row_start(&row, io->rows);
        if (wait != 0)
            return wait;
    }
    return 0;
}

static void rows_came(struct maria_io *io, MYSQL_ROW row) {
    bool is_too_large = false;
    int wait = fetch_rows(io, row, &is_too_large);
    if (wait != 0)
        wait_for(io, wait);
    else if (is_too_large)
        maria_io_lost(io, "an answer that is too large");
    else if (mysql_errno(io->mysql) != 0)
        maria_io_failed(io);
    else
        maria_io_done(io);
}

static void query_came(struct maria_io *io, int error) {
    if (error == 0)
        io->rows = mysql_use_result(io->mysql);
    if (error != 0 || mysql_errno(io->mysql) != 0) {
        maria_io_failed(io);
        return;
    }
    if (!io->rows) {
        io->answer.affected = mysql_affected_rows(io->mysql);
        maria_io_done(io);
        return;
    }
    MYSQL_ROW row = NULL;
    io->answer.columns = mysql_num_fields(io->rows);
    int wait = mysql_fetch_row_start(&row, io->rows);
    io->op = MARIA_FETCH;
    if (wait != 0)
        wait_for(io, wait);
    else
        rows_came(io, row);
}

static void operation_came(struct maria_io *io, union maria_returned *ret) {
    switch (io->op) {
    case MARIA_CONNECT:
        if (ret->mysql)
            maria_io_done(io);
        else
            maria_io_failed(io);
        break;
    case MARIA_QUERY:
        query_came(io, ret->error);
        break;
    case MARIA_FETCH:
        rows_came(io, ret->row);
        break;
    case MARIA_IDLE:
        break;
    }
}

static void on_maria_fd(void *arg, int fd, uint32_t events) {
    struct maria_io *io = arg;
    union maria_returned ret;
    int what = ((events & (OS_READABLE | OS_HANGUP)) ? MYSQL_WAIT_READ : 0) |
               ((events & (OS_WRITABLE | OS_HANGUP)) ? MYSQL_WAIT_WRITE : 0);
    (void)fd;
    if (io->op == MARIA_IDLE) {
        maria_io_lost(io, "the server ended the connection");
        return;
    }
    int wait = go_on_with(io, what, &ret);
    if (wait != 0)
        wait_for(io, wait);
    else
        operation_came(io, &ret);
}

// --- beginning

static void set_options(MYSQL *mysql) {
    unsigned long packet_max = MARIA_ANSWER_BYTES_MAX;
    unsigned no = 0;
    // A server may begin sessions otherwise. A statement is committed by its answer, and no hour of
    // the year comes twice.
    static const char session[] =
        "SET SESSION autocommit = 1, time_zone = '+00:00', tx_read_only = 0";
    mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL);
    mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet_max);
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(mysql, MYSQL_INIT_COMMAND, session);
    mysql_options(mysql, MARIADB_OPT_RESTRICTED_AUTH, "mysql_native_password,client_ed25519");
}

void maria_io_connect(struct maria_io *io, const struct maria_url *url, const char *numeric) {
    union maria_returned ret = {.mysql = NULL};
    assert(!io->mysql);
    answer_reset(&io->answer);
    io->mysql = mysql_init(NULL);
    if (!io->mysql)
        abort();
    set_options(io->mysql);
    io->op = MARIA_CONNECT;
    int wait = mysql_real_connect_start(
        &ret.mysql, io->mysql, url->unix_socket ? NULL : numeric, url->user, url->password,
        url->database, url->unix_socket ? 0 : url->port, url->unix_socket ? url->host : NULL, 0);
    if (wait != 0)
        wait_for(io, wait);
    else
        operation_came(io, &ret);
}

void maria_io_query(struct maria_io *io, struct buf *statement) {
    union maria_returned ret = {.error = 0};
    assert(io->mysql && io->op == MARIA_IDLE);
    answer_reset(&io->answer);
    buf_free(&io->statement);
    io->statement = *statement;
    *statement = BUF_EMPTY;
    io->op = MARIA_QUERY;
    int wait = mysql_real_query_start(&ret.error, io->mysql, (const char *)io->statement.data,
                                      io->statement.len);
    if (wait != 0)
        wait_for(io, wait);
    else
        operation_came(io, &ret);
}
