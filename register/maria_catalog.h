// What registers keep in MariaDB (docs/MARIADB.md): the catalog, a row for each entry, deleted ones
// too. It is the back of a pair (catalog_pair.h), a store with three methods: an entry is
// committed where it is the one that is expected, kept where the row is older, and all are read
// page by page, in the order of their keys.
#ifndef HW_MARIA_CATALOG_H
#define HW_MARIA_CATALOG_H

#include "cluster.pb-c.h"
#include "maria_conn.h"
#include "store.h"

enum {
    CATALOG_KEY_MAX = 255,
    CATALOG_VALUE_MAX = 256 * 1024,
    CATALOG_PAGE_ROWS = 32,
};

struct store *register_maria_catalog(const struct maria_options *o); // schema, on_state: its own
bool register_maria_takes(const Hawser__Internal__CatalogEntry *e);  // no: it is too large
struct log *register_maria_log(const struct store *catalog);
const struct maria_counts *register_maria_counts(const struct store *catalog);
// Why it refused what was to be written last, though it is up; NULL: it took it.
const char *register_maria_refusal(const struct store *catalog);

#endif
