// The bytes of answers, and of the server's own refusals.
#include "bytes.h"
#include "http_internal.h"

void http_request_id(struct http_server *s, char out[25]) {
    uint8_t id[12];
    for (int i = 0; i < 12; i += 4)
        be32_put(id + i, (uint32_t)rng_u64(loop_rng(s->options.loop)));
    hex_encode(id, sizeof(id), out);
}

static const char *date(struct http_server *s) {
    time_t now = (time_t)(loop_wall_ms(s->options.loop) / 1000);
    struct tm tm;
    if ((uint64_t)now != s->date_s && gmtime_r(&now, &tm)) {
        s->date_s = (uint64_t)now;
        strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return s->date;
}

static void http_answer_put(struct buf *head, const char *name, const char *value) {
    buf_append_str(head, name);
    buf_append_str(head, ": ");
    buf_append_str(head, value);
    buf_append_str(head, "\r\n");
}

enum { HEAD_BYTES = 320 }; // of most answers

struct answer {
    const struct http_response *response;
    const char *id;
    bool is_head, is_last;
};

static void make_head(struct http_server *s, const struct answer *a, struct buf *head) {
    const struct http_response *r = a->response;
    buf_append_str(head, "HTTP/1.1 ");
    buf_append_u64(head, (uint64_t)r->status);
    buf_append_str(head, " ");
    buf_append_str(head, http_reason(r->status));
    buf_append_str(head, "\r\n");
    http_answer_put(head, "Date", date(s));
    http_answer_put(head, "Hawser-Request-Id", a->id);
    if (r->content_type)
        http_answer_put(head, "Content-Type", r->content_type);
    for (int i = 0; i < 8 && r->headers[i][0]; i++)
        http_answer_put(head, r->headers[i][0], r->headers[i][1]);
    if (s->options.allow_origin)
        http_answer_put(head, "Access-Control-Allow-Origin", s->options.allow_origin);
    if (r->status != 204 && r->status != 304) {
        buf_append_str(head, "Content-Length: ");
        buf_append_u64(head, r->body_len);
        buf_append_str(head, "\r\n");
    }
    if (a->is_last)
        http_answer_put(head, "Connection", "close");
    buf_append_str(head, "\r\n");
}

// One write; what the kernel does not take is kept, and nothing is read until it is out.
static void answer_out(struct http_conn *c, const struct answer *a) {
    struct buf head = BUF_EMPTY;
    size_t body_len = a->is_head ? 0 : a->response->body_len;
    const uint8_t *body = a->response->body;
    buf_reserve(&head, HEAD_BYTES);
    make_head(c->server, a, &head);
    struct iovec iov[2] = {{head.data, head.len}, {(void *)(uintptr_t)body, body_len}};
    size_t took = stream_writev(c->stream, iov, body_len > 0 ? 2 : 1);
    if (took < head.len)
        stream_hold(c->stream, head.data + took, head.len - took);
    size_t body_took = took > head.len ? took - head.len : 0;
    if (body_took < body_len)
        stream_hold(c->stream, body + body_took, body_len - body_took);
    buf_free(&head);
}

void http_put_answer(struct http_exchange *x, const struct http_response *response, bool is_last) {
    answer_out(x->conn, &(struct answer){response, x->request.id, x->is_head, is_last});
}

void http_continue(struct http_conn *c) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    stream_send(c->stream, text, sizeof(text) - 1);
}

static struct buf problem_body(const struct http_refusal_row *row, const char *detail,
                               const char *id) {
    struct buf body = BUF_EMPTY;
    buf_printf(&body,
               "{\"type\":\"urn:hawser:error:%s\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\","
               "\"code\":\"%s\",\"request_id\":\"%s\"}",
               row->code, row->title, row->status, detail, row->code, id);
    return body;
}

void http_put_refusal(struct http_conn *c, enum http_fault fault) {
    struct http_server *s = c->server;
    const struct http_refusal_row *row = &http_refusal_rows[http_fault_refusal(fault)];
    char id[25];
    if (c->exchange)
        memcpy(id, c->exchange->request.id, sizeof(id));
    else
        http_request_id(s, id);
    s->count.refused[http_fault_refusal(fault)]++;
    log_event(s->options.log, LOG_DEBUG, "refused", "request=%s status=%d code=%s detail=%s", id,
              row->status, row->code, log_quote_str(http_fault_detail(fault)));
    struct buf body = problem_body(row, http_fault_detail(fault), id);
    struct http_response response = {.status = row->status,
                                     .content_type = "application/problem+json",
                                     .body = body.data,
                                     .body_len = body.len};
    if (row->status == 503 || row->status == 429) {
        response.headers[0][0] = "Retry-After";
        response.headers[0][1] = "1";
    }
    bool is_head =
        c->exchange ? c->exchange->is_head : c->head.method && strcmp(c->head.method, "HEAD") == 0;
    answer_out(c, &(struct answer){&response, id, is_head, true});
    buf_free(&body);
}
