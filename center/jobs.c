// The jobs of a product, newest first.
#include "handlers.h"
#include "job.h"
#include "request.h"

static void on_jobs(void *arg, int error, const Hawser__Internal__JobsReply *reply) {
    struct request *q = arg;
    if (!reply) {
        reply_unanswered(q, "saver", error);
        return;
    }
    json_t *items = json_array();
    bool is_whole = !reply->more || reply->n_job == 0;
    char next[JOB_CURSOR_CHARS];
    for (size_t i = 0; i < reply->n_job; i++)
        json_array_append_new(items, job_json(reply->job[i]));
    if (!is_whole)
        job_cursor(reply->job[reply->n_job - 1], next);
    reply_list(q, items, is_whole ? NULL : next);
}

enum { TEXT_BYTES = JOB_CURSOR_CHARS + 1 };

// after: the text that the request borrows from.
static bool jobs_after(struct request *q, char after[TEXT_BYTES],
                       Hawser__Internal__JobsRequest *request) {
    const char *id = "";
    bool bad = false;
    if (!http_query_get(q->http->query, "after", after, TEXT_BYTES, &bad))
        return true;
    if (bad || !job_cursor_read(after, &request->accepted_ms, &id)) {
        reply_bad_after(q);
        return false;
    }
    request->id = (char *)(uintptr_t)id;
    return true;
}

static bool jobs_state(struct request *q, Hawser__Internal__JobsRequest *request) {
    char state[TEXT_BYTES];
    bool bad = false;
    if (!http_query_get(q->http->query, "state", state, sizeof(state), &bad))
        return true;
    if (!bad && job_state_of(state, &request->state))
        return true;
    reply_fault(q, PROBLEM_invalid_value, "state", "state is queued, running or done");
    return false;
}

void handle_jobs(struct request *q) {
    Hawser__Internal__JobsRequest request = HAWSER__INTERNAL__JOBS_REQUEST__INIT;
    char after[TEXT_BYTES];
    uint64_t limit;
    struct problem p = {0};
    if (!jobs_after(q, after, &request) || !jobs_state(q, &request))
        return;
    if (!request_limit(q, &limit, &p)) {
        reply_problem(q, &p);
        return;
    }
    request.product = request_product(q)->number;
    request.limit = (uint32_t)limit;
    saver_jobs(saver_of_product(q->center->cluster, request.product), &request, on_jobs, q);
}
