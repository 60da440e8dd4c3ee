// What the files of the rows in MariaDB share; nobody else includes it. docs/MARIADB.md has the
// tables. Each file calls those below it only:
//
//   maria_rows.c         the table of all steps; life
//   maria_jobs.c         rows of jobs
//   maria_stored.c       rows of what was stored, which land marked; messages that left their log
//   maria_recall.c       messages that were recalled
//   maria_groups.c       rows that land, are marked, or are taken away: they share a statement
//   maria_left_behind.c  rows that nobody has marked: counted, taken up, read
//   maria_restore.c      rows that a Redis may have lost: listed, read, taken for unmarked again
//   maria_tables.c       what all of them put and read, and what leaves the tables
//   maria_outcomes.c     what became of messages: told, and asked for
#ifndef HW_MARIA_INTERNAL_H
#define HW_MARIA_INTERNAL_H

#include <inttypes.h>
#include <string.h>

#include "maria_database.h"
#include "maria_rows.h"
#include "message.h"
#include "saver.pb-c.h"
#include "saver_store.h"
#include "store_step.h"

enum { ONLY_COLUMN = 0 }; // of a statement that answers one

enum { BODY_HASH_MAX = 16 };
// The column id_is_free of a stored message's row is this and its seq: no row's number, which frees
// a durable one's id, comes up to it.
#define STORED_ID (UINT64_C(1) << 63)
enum group_kind { GROUP_MARK, GROUP_OUTCOME, GROUP_WITHDRAW, GROUP_FREE, GROUP_LAND, GROUPS };

struct row_step {
    struct store_step step; // first
    struct row_step *next;  // of its group
    struct buf text;        // its piece of the statement that lands or marks it
    uint64_t row;           // that it takes away, or whose id it frees
    uint8_t hash[BODY_HASH_MAX];
    size_t hash_len;
    bool is_marked;                // while its outcome is told
    int freed;                     // how often an id was made free for it
    uint64_t count, holder, after; // of UnmarkedRequest; holder, history: of LandedLogsRequest
    uint64_t history, last;        // after, last: the seqs of LandedRowsRequest
};
static inline struct row_step *row_step_of(struct store_step *p) {
    return (struct row_step *)p;
}

struct row_group { // steps that share a statement
    struct row_step *first, **end;
    struct row_step *sent[ROWS_A_STATEMENT];
    size_t sent_count, bytes;
};

// Of a table: a bounded number of rows a statement, as long as there are more.
enum purge_kind { PURGE_MESSAGES, PURGE_OUTCOMES, PURGE_RECALLS, PURGES };
struct maria_purge {
    struct maria_rows *rows;
    uint64_t upto_ms; // what leaves before is deleted
    bool is_under_way;
};

struct maria_rows {
    struct store store; // first
    struct maria_conn *conn;
    struct maria_conn *reader; // of outcomes: nobody who lands waits behind a long question
    size_t reads;              // questions that were asked of it
    struct row_group group[GROUPS];
    struct hook hook;
    struct log *log;             // borrowed
    size_t answered;             // steps whose statement has just been answered
    stored_done_fn *stored_done; // while rows of stored messages are under way
    void *stored_arg;
    ended_fn *ended_done; // while ends are being told
    void *ended_arg;
    struct buf accepted; // what is told of rows that are landing
    struct maria_purge purge[PURGES];
    char refusal[MARIA_WHY_MAX]; // of the last rows that were to land; empty: they have
    char reason[MARIA_WHY_MAX + 32];
};
static inline struct maria_rows *maria_rows_of(const struct store_step *p) {
    return (struct maria_rows *)p->store;
}

static inline void row_step_end(struct row_step *r, int error, ProtobufCMessage *reply) {
    buf_free(&r->text);
    store_step_complete(&r->step, error, reply);
}

// The message of a row, under the row's id; NULL: its bytes do not decode.
Hawser__Internal__StoredMessage *maria_message(struct maria_text packed, struct maria_text id);
// Answers whose it is: the holder's, or that of another one whose time is not over.
void maria_put_lease(struct buf *out, const char *name, uint64_t holder);
void maria_ask_for(struct row_step *r, struct buf *text, maria_done_fn *done);
// What became of rows that were to land.
void maria_note_refusal(struct maria_rows *s, int error, const struct maria_answer *a);

void saver_maria_land(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_mark(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_withdraw(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_unmarked(struct store_step *p, const ProtobufCMessage *request);

// Of rows that are in their log now: the values of each, and what stands around them.
void maria_put_accepted(struct buf *out, const struct stored_row *r);
#define ACCEPTED_BEFORE                                                                            \
    "INSERT INTO hawser_outcomes (product, id, stream, user, epoch, seq, class, state, sent_ms, "  \
    "expires_ms, ended_ms, device, kept_ms, until_ms) "
// An id that is told again is the same message, unless it is in another place by now.
#define ACCEPTED_BEHIND                                                                            \
    " ON DUPLICATE KEY UPDATE state = IF(hawser_outcomes.seq = VALUES(seq) AND "                   \
    "hawser_outcomes.epoch = VALUES(epoch), hawser_outcomes.state, VALUES(state)), epoch = "       \
    "VALUES(epoch), seq = VALUES(seq), sent_ms = VALUES(sent_ms), expires_ms = "                   \
    "VALUES(expires_ms), until_ms = GREATEST(hawser_outcomes.until_ms, VALUES(until_ms))"
#define OUTCOME_KEPT_MS (UINT64_C(7) * 24 * 3600 * 1000) // where nobody says
void saver_maria_outcomes(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_status(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_land_job(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_part_done(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_landed_jobs(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_drop_job(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_recall(struct store_step *p, const ProtobufCMessage *request);

void saver_maria_logs(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_log_rows(struct store_step *p, const ProtobufCMessage *request);
void saver_maria_unmark(struct store_step *p, const ProtobufCMessage *request);

#endif
