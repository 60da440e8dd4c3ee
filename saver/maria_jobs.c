// Rows of jobs: each lands whole, is told which of its parts are done, and leaves when all are, or
// when its message has ended.
#include "maria_internal.h"

#define JOB_COLUMNS(FIRST, X)                                                                      \
    FIRST(ROW, "row_no")                                                                           \
    X(PRODUCT, "product")                                                                          \
    X(ID, "id")                                                                                    \
    X(PARTS_DONE, "parts_done")                                                                    \
    X(IS_OVER, "expires_ms < " MARIA_NOW_MS)
#define JOB_AT(name, sql) JOB_AT_##name,
enum { JOB_COLUMNS(JOB_AT, JOB_AT) JOB_AT_JOB };
enum { TAKEN_AT_ROW, TAKEN_AT_TAKERS };

static void on_job_row(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    maria_note_refusal(maria_rows_of(&r->step), error, a);
    if (error != 0) {
        row_step_end(r, error, NULL);
        return;
    }
    Hawser__Internal__LandedReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__landed_reply__init(reply);
    reply->row = maria_u64_at(a, 0, TAKEN_AT_ROW);
    reply->is_new = maria_u64_at(a, 0, TAKEN_AT_TAKERS) == 1;
    row_step_end(r, 0, &reply->base);
}

// A job under the same id, with another claim, is another one: the old one is done, or as good as.
void saver_maria_land_job(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__JobPutRequest *q = (const Hawser__Internal__JobPutRequest *)request;
    struct buf text = BUF_EMPTY, packed = BUF_EMPTY;
    size_t size = hawser__internal__job_put_request__get_packed_size(q);
    hawser__internal__job_put_request__pack(q, buf_reserve(&packed, size));
    buf_printf(&text,
               "INSERT INTO hawser_jobs (product, id, claim, expires_ms, landed_ms, job) VALUES "
               "(%" PRIu32 ",",
               q->product);
    maria_put_hex(&text, q->message->id, strlen(q->message->id));
    buf_printf(&text, ",%" PRIu64 ",%" PRIu64 "," MARIA_NOW_MS ",", q->claim, q->expires_ms);
    maria_put_hex(&text, packed.data, size);
    buf_append_str(&text,
                   ") ON DUPLICATE KEY UPDATE takers = takers + 1, "
                   "parts_done = IF(claim = VALUES(claim), parts_done, 0), "
                   "expires_ms = IF(claim = VALUES(claim), expires_ms, VALUES(expires_ms)), "
                   "job = IF(claim = VALUES(claim), job, VALUES(job)), claim = VALUES(claim) "
                   "RETURNING row_no, takers");
    buf_free(&packed);
    maria_ask_for(row_step_of(p), &text, on_job_row);
}

static void on_part_done(void *arg, int error, const struct maria_answer *a) {
    Hawser__Internal__MarkReply *reply = hw_malloc(sizeof(*reply));
    (void)a;
    hawser__internal__mark_reply__init(reply);
    reply->marked = error == 0;
    row_step_end(arg, error, &reply->base);
}

void saver_maria_part_done(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__JobAdvanceRequest *q =
        (const Hawser__Internal__JobAdvanceRequest *)request;
    struct buf text = BUF_EMPTY;
    buf_printf(&text,
               "UPDATE hawser_jobs SET parts_done = parts_done | %" PRIu64
               " WHERE product = %" PRIu32 " AND id = ",
               UINT64_C(1) << q->part % JOB_PARTS_MAX, q->product);
    maria_put_hex(&text, q->job, strlen(q->job));
    maria_ask_for(row_step_of(p), &text, on_part_done);
}

static Hawser__Internal__LandedJob *landed_job(const struct maria_answer *a, size_t row,
                                               bool is_whole) {
    Hawser__Internal__LandedJob *job = hw_malloc(sizeof(*job));
    hawser__internal__landed_job__init(job);
    job->row = maria_u64_at(a, row, JOB_AT_ROW);
    job->product = (uint32_t)maria_u64_at(a, row, JOB_AT_PRODUCT);
    job->id = maria_text_copy(maria_text_at(a, row, JOB_AT_ID));
    job->parts_done = maria_u64_at(a, row, JOB_AT_PARTS_DONE);
    job->is_over = maria_u64_at(a, row, JOB_AT_IS_OVER) == 1;
    if (is_whole) {
        struct maria_text packed = maria_text_at(a, row, JOB_AT_JOB);
        job->job = hawser__internal__job_put_request__unpack(NULL, packed.len,
                                                             (const uint8_t *)packed.data);
    }
    return job;
}

static void on_job_rows(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    if (error != 0) {
        row_step_end(r, error, NULL);
        return;
    }
    Hawser__Internal__LandedJobsReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__landed_jobs_reply__init(reply);
    reply->job = hw_calloc(maria_rows(a) + 1, sizeof(reply->job[0]));
    for (size_t row = 0; row < maria_rows(a); row++)
        reply->job[reply->n_job++] = landed_job(a, row, r->row != 0);
    row_step_end(r, 0, &reply->base);
}

void saver_maria_landed_jobs(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__LandedJobsRequest *q =
        (const Hawser__Internal__LandedJobsRequest *)request;
    struct buf text = BUF_EMPTY;
    row_step_of(p)->row = q->row;
    buf_append_str(&text, "SELECT " JOB_COLUMNS(FIRST_COLUMN, NEXT_COLUMN));
    if (q->row != 0)
        buf_printf(&text, ", job FROM hawser_jobs WHERE row_no = %" PRIu64, q->row);
    else
        buf_printf(&text,
                   " FROM hawser_jobs WHERE row_no > %" PRIu64 " AND landed_ms < " MARIA_NOW_MS
                   " - %d ORDER BY row_no LIMIT %d",
                   q->after, JOB_ROW_RESTS_MS, JOB_ROWS_AT_ONCE);
    maria_ask_for(row_step_of(p), &text, on_job_rows);
}

static void on_job_row_dropped(void *arg, int error, const struct maria_answer *a) {
    Hawser__Internal__DropJobReply *reply = hw_malloc(sizeof(*reply));
    (void)a;
    hawser__internal__drop_job_reply__init(reply);
    row_step_end(arg, error, &reply->base);
}

void saver_maria_drop_job(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__DropJobRequest *q = (const Hawser__Internal__DropJobRequest *)request;
    struct buf text = BUF_EMPTY;
    buf_printf(&text, "DELETE FROM hawser_jobs WHERE row_no = %" PRIu64 "%s", q->row,
               q->unless_shared ? " AND takers = 1" : "");
    maria_ask_for(row_step_of(p), &text, on_job_row_dropped);
}
