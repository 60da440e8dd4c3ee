// Hawser's database in MariaDB (docs/MARIADB.md): the tables, which savers and registers share, and
// what their statements have in common.
#ifndef HW_MARIA_DATABASE_H
#define HW_MARIA_DATABASE_H

#include "maria_conn.h"

extern const struct maria_schema maria_hawser_schema;

#define MARIA_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)"

// Of a table of columns X(NAME, what it reads), whose first one is put by the first of its
// arguments: the statement's list is made of it, and so are the numbers by which its answer is
// read.
#define FIRST_COLUMN(name, sql) sql
#define NEXT_COLUMN(name, sql) ", " sql

void maria_put_hex(struct buf *out, const void *data, size_t len); // as a literal
char *maria_text_copy(struct maria_text t);

#endif
