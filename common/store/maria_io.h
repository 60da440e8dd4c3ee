// libmariadb's non-blocking calls in our loop: one connection, and one statement at a time.
//
// libmariadb works in a coroutine of its own, which is left whenever the server has nothing to
// say: then it names what it waits for, and is gone on with when that has come. A coroutine that is
// to end at once is told that its time is over, again and again until it has returned: it asks the
// kernel for nothing more. So nothing here waits, and closing does not either.
//
// Nothing is loaded at a server's wish: no plugin but those of the two ways to log in, and no
// local file.
#ifndef HW_MARIA_IO_H
#define HW_MARIA_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "loop.h"
#include "maria_url.h"

enum {
    MARIA_ANSWER_BYTES_MAX = 16 * 1024 * 1024, // of one statement; a larger one ends the connection
    MARIA_CELLS_MAX = 64 * 1024,
    MARIA_WHY_MAX = 200,
};

struct maria_cell {
    size_t at, len;
    bool is_null;
};

struct maria_answer {
    unsigned code;           // of the server's refusal; 0: it was done
    char why[MARIA_WHY_MAX]; // printable
    // The refusal is of what the statement said, not of the state in which the server is: by its
    // SQLSTATE.
    bool is_of_values;
    uint64_t affected;       // rows
    size_t columns, count;   // count: of cells
    struct maria_cell *cell; // owned; row by row
    size_t cells_max;
    struct buf bytes; // a NUL behind each cell
};
size_t maria_rows(const struct maria_answer *a);
uint64_t maria_affected(const struct maria_answer *a);
struct maria_text {
    const char *data; // NUL behind it; NULL: it is NULL, or not there
    size_t len;
};
struct maria_text maria_text_at(const struct maria_answer *a, size_t row, size_t column);
uint64_t maria_u64_at(const struct maria_answer *a, size_t row, size_t column); // else 0

enum maria_op { MARIA_IDLE, MARIA_CONNECT, MARIA_QUERY, MARIA_FETCH };

struct maria_io {
    struct loop *loop;
    // The operation that was begun is over: is_lost, or answer has what was said. Also when an
    // idle connection is lost. It may begin the next one, or end the connection.
    void (*over)(struct maria_io *io, bool is_lost);
    enum maria_op op;
    struct st_mysql *mysql; // owned; NULL = closed
    struct st_mysql_res *rows;
    struct watch *watch;
    struct buf statement; // that is under way
    struct maria_answer answer;
};

// numeric: where to; a name was looked up before. The URL outlives the connection.
void maria_io_connect(struct maria_io *io, const struct maria_url *url, const char *numeric);
void maria_io_query(struct maria_io *io, struct buf *statement); // takes its bytes
void maria_io_close(struct maria_io *io); // over is not called; harmless when closed
void maria_io_deinit(struct maria_io *io);

#endif
