// Jobs of a saver with a MariaDB: each is committed there before it is stored at the front, and is
// stored anew at a front that has lost it, without the parts that were done. Part of durable.h's
// pair.
#ifndef HW_DURABLE_JOBS_H
#define HW_DURABLE_JOBS_H

#include "saver.pb-c.h"
#include "store_pair.h"

// The steps of the pair.
void durable_job_put(struct store_step *p, const ProtobufCMessage *request);
void durable_job_advance(struct store_step *p, const ProtobufCMessage *request);

struct job_walk {               // over all rows, which are few: a job that is done loses its row
    struct store *front, *back; // borrowed from the pair
    Hawser__Internal__LandedJobsReply *page; // owned; NULL: none is looked at
    size_t at;                               // in it
    uint64_t after;                          // the row behind which the next page begins
    uint64_t restored;                       // counted
    bool is_busy;
};
void job_walk_begin(struct job_walk *w); // unless one is under way
void job_walk_deinit(struct job_walk *w);

#endif
