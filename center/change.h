// A change of a product: its record as a draft, put into the catalog by compare-and-swap at a
// register, and the answer to that. A change is the state of its request.
#ifndef HW_CHANGE_H
#define HW_CHANGE_H

#include "arena.h"
#include "cluster.pb-c.h"
#include "request.h"

struct change {
    struct arena arena; // what the draft points to lives here
    Hawser__Internal__Product record;
    Hawser__Internal__ProductLimits limits; // the record's
    json_t *show; // owned: what the answer shows besides the product; NULL = nothing
    json_t *(*show_product)(const struct product *product); // NULL: `show` is the answer, if any
    int status;                                             // of the answer
    bool deletes;
};

struct change *change_new(struct request *q, int status);
// Takes over what the product is now.
void change_from(struct change *d, const struct product *product, bool limits_too);
// Whether the request's If-Match and If-None-Match allow it; false: the request is answered.
bool change_is_wanted(struct request *q, const struct product *product);
// Puts the draft in the place of that version (0: of none), and answers.
void change_put(struct request *q, uint64_t expect);

#endif
