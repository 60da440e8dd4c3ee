// The pair of what a register keeps in Redis (its front) and the catalog in MariaDB (its back). A
// put is committed in the back, then taken by the front under the version that the back gave it,
// then answered; all else is the front's. docs/STORE.md says who decides.
//
//   is it the one expected? --> its number --> commit --> fill --> answer
//     | no: a conflict                          |  |       +-- no answer: the outcome is unknown
//     |                                         |  +-- the back has a newer one: the front gets it,
//     |                                         |      then it is answered: a conflict, or done
//     |                                         +-- failed: -HW_ECLASS, nothing is stored
//
// Until the front is filled (filling.h) nobody is told of its catalog: -HW_ELOADING.
#ifndef HW_CATALOG_PAIR_H
#define HW_CATALOG_PAIR_H

#include "store.h"

struct catalog_counts {
    uint64_t committed, settled;       // puts; and those that found one that was only committed
    uint64_t filled, kept, bad;        // of filling.h
    uint64_t statements, failed, late; // of the connection
    uint64_t up_s;
};
// Both are taken.
struct store *register_catalog_pair(struct store *front, struct store *back);
// NULL: the store is none. They are as of the last second.
const struct catalog_counts *register_catalog_counts(const struct store *s);
// What products and keys do without, into out; false: nothing.
bool register_catalog_lacks(struct store *s, char *out, size_t size);

#endif
