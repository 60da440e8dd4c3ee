#include "maria_internal.h"

struct log *saver_maria_log(const struct store *rows) {
    return ((const struct maria_rows *)rows)->log;
}

void saver_maria_tell_refused(const struct store *rows, uint64_t row) {
    log_event(((const struct maria_rows *)rows)->log, LOG_WARN,
              "a durable message is refused for good",
              "row=%" PRIu64 " reason=\"its id was used with another body\"", row);
}

void saver_maria_tell_put_aside(const struct store *rows, const struct stored_row *row) {
    const struct maria_rows *s = (const struct maria_rows *)rows;
    log_event(s->log, LOG_WARN, "a stored message does not land",
              "product=%" PRIu32 " stream=%" PRIu32 " epoch=%" PRIu64 " seq=%" PRIu64
              " id=%s reason=\"mariadb refuses its row, and takes others; redis alone has it\"",
              row->product, row->stream, row->epoch, row->seq,
              log_quote((const char *)row->text + row->user_len, row->id_len));
}

static const char *rows_down_reason(struct store *store) {
    struct maria_rows *s = (struct maria_rows *)store;
    const char *why = maria_conn_down_reason(s->conn);
    if (!why)
        return NULL;
    snprintf(s->reason, sizeof(s->reason), "mariadb: %s", why);
    return s->reason;
}

const char *saver_maria_refusal(struct store *rows) {
    struct maria_rows *s = (struct maria_rows *)rows;
    if (!s->refusal[0])
        return NULL;
    snprintf(s->reason, sizeof(s->reason), "mariadb refused the last rows: %s", s->refusal);
    return s->reason;
}

static void rows_stop(struct store *store) {
    struct maria_rows *s = (struct maria_rows *)store;
    maria_conn_free(s->conn); // completes what was sent
    maria_conn_free(s->reader);
    s->conn = s->reader = NULL;
    buf_free(&s->accepted);
    hook_stop(&s->hook);
    for (int kind = 0; kind < GROUPS; kind++)
        for (struct row_step *r = s->group[kind].first, *next; r; r = next) {
            next = r->next;
            row_step_end(r, -HW_ECANCELLED, NULL);
        }
}

const struct maria_counts *saver_maria_counts(const struct store *rows) {
    return maria_conn_counts(((const struct maria_rows *)rows)->conn);
}

static void on_rows_state(void *arg, bool is_up) {
    if (is_up)
        ((struct maria_rows *)arg)->refusal[0] = '\0';
}

struct store *saver_maria_rows(const struct maria_options *o) {
    static const struct store_method methods[] = {
        {"land", &hawser__internal__append_request__descriptor, saver_maria_land},
        {"mark", &hawser__internal__mark_request__descriptor, saver_maria_mark},
        {"withdraw", &hawser__internal__take_away_request__descriptor, saver_maria_withdraw},
        {"unmarked", &hawser__internal__unmarked_request__descriptor, saver_maria_unmarked},
        {"logs", &hawser__internal__landed_logs_request__descriptor, saver_maria_logs},
        {"log rows", &hawser__internal__landed_rows_request__descriptor, saver_maria_log_rows},
        {"unmark", &hawser__internal__unmark_request__descriptor, saver_maria_unmark},
        {"outcomes", &hawser__internal__outcomes_request__descriptor, saver_maria_outcomes},
        {"status", &hawser__internal__status_request__descriptor, saver_maria_status},
        {"land job", &hawser__internal__job_put_request__descriptor, saver_maria_land_job},
        {"part done", &hawser__internal__job_advance_request__descriptor, saver_maria_part_done},
        {"landed jobs", &hawser__internal__landed_jobs_request__descriptor,
         saver_maria_landed_jobs},
        {"drop job", &hawser__internal__drop_job_request__descriptor, saver_maria_drop_job},
        {"recalled", &hawser__internal__recalled_request__descriptor, saver_maria_recall}};
    static const struct store_kind kind = {.methods = methods,
                                           .method_count = sizeof(methods) / sizeof(methods[0]),
                                           .step_bytes = sizeof(struct row_step),
                                           .down_reason = rows_down_reason,
                                           .stop = rows_stop};
    struct maria_rows *s = hw_calloc(1, sizeof(*s));
    struct maria_options options = *o;
    store_init(&s->store, &kind, o->loop);
    options.schema = &maria_hawser_schema;
    options.on_state = on_rows_state;
    options.arg = s;
    s->log = o->log;
    s->conn = maria_conn_new(&options);
    options.on_state = NULL;
    s->reader = maria_conn_new(&options);
    return &s->store;
}
