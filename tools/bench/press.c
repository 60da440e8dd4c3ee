#include "press.h"

#include <inttypes.h>

#include "payload.h"

void press_init(struct press *p, struct bench *b, uint32_t users) {
    *p = (struct press){.bench = b, .end = users, .batch = (uint32_t)b->options->batch};
    snprintf(p->path, sizeof(p->path), "/v1/products/%s/messages%s", b->product,
             p->batch > 1 ? "/batch" : "");
}

void press_deinit(struct press *p) {
    buf_free(&p->body);
}

// --- one call

static uint64_t count_accepted(const char *body, size_t body_len) {
    static const char mark[] = "\"status\":202";
    uint64_t count = 0;
    const char *end = body + body_len, *at = body;
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1))) {
        count++;
        at += sizeof(mark) - 1;
    }
    return count;
}

static void press_done(void *arg, int status, const char *body, size_t body_len) {
    struct press *p = arg;
    uint64_t accepted = 0;
    if (p->batch == 1)
        accepted = status == 202;
    else if (status == 200)
        accepted = count_accepted(body, body_len);
    p->accepted += accepted;
    p->failed += p->batch - accepted;
    if (accepted < p->batch && !p->first_failure[0])
        snprintf(p->first_failure, sizeof(p->first_failure), "%d %.*s", status,
                 (int)(body_len < 120 ? body_len : 120), body);
}

static void message_append(struct press *p, uint64_t due_us) {
    size_t size = p->bench->options->size;
    buf_printf(&p->body, "{\"to\":{\"user\":\"u%07u\"},\"payload\":\"", p->next);
    payload_put((char *)buf_reserve(&p->body, size), size, due_us);
    p->body.len += size;
    buf_append_str(&p->body, "\"}");
    if (++p->next == p->end)
        p->next = p->first;
}

// One call, of `batch` messages.
static void press_push(struct press *p, uint64_t due_us) {
    buf_reset(&p->body);
    if (p->batch > 1)
        buf_append_str(&p->body, "{\"messages\":[");
    for (uint32_t i = 0; i < p->batch; i++) {
        if (i > 0)
            buf_append_str(&p->body, ",");
        message_append(p, due_us);
    }
    if (p->batch > 1)
        buf_append_str(&p->body, "]}");
    p->sent += p->batch;
    pusher_call(p->bench->pusher, &(struct call){"POST", p->path, (const char *)p->body.data,
                                                 p->body.len, press_done, p});
}

// --- many

static bool press_go_on(struct press *p, uint64_t passed_us, uint64_t us, const char *doing) {
    bench_progress(p->bench, doing, passed_us / 1000000, us / 1000000);
    return bench_step(p->bench);
}

bool press_flat_out(struct press *p, uint64_t ms, uint64_t window) {
    struct bench *b = p->bench;
    uint64_t from_us = bench_now_us(b), passed_us;
    while ((passed_us = bench_now_us(b) - from_us) < ms * 1000) {
        uint64_t came = share_sum(b->share, COUNT_INBOX);
        while (p->sent - p->failed + p->batch <= came + window &&
               pusher_unanswered(b->pusher) < b->options->connections)
            press_push(p, bench_now_us(b));
        if (!press_go_on(p, passed_us, ms * 1000, "seconds, as fast as it goes"))
            return false;
    }
    return true;
}

bool press_number(struct press *p, uint64_t messages) {
    struct bench *b = p->bench;
    while (p->sent < messages) {
        while (p->sent < messages && pusher_unanswered(b->pusher) < b->options->connections)
            press_push(p, bench_now_us(b));
        bench_progress(b, "messages pushed", p->accepted, messages);
        if (!bench_step(b))
            return false;
    }
    return press_answered(p);
}

// A stall at the end leaves out none either: what was due is pushed, and counts from when it was.
bool press_steady(struct press *p, const struct pace *pace) {
    struct bench *b = p->bench;
    uint64_t from_us = bench_now_us(b), all_us = pace->ms * 1000, passed_us = 0, calls = 0;
    double each_us = 1e6 * p->batch / pace->rate;
    while (passed_us < all_us) {
        passed_us = bench_now_us(b) - from_us;
        uint64_t due_us = passed_us < all_us ? passed_us : all_us - 1;
        for (; (double)calls * each_us <= (double)due_us; calls++)
            press_push(p, from_us + (uint64_t)((double)calls * each_us));
        if (pace->also && !pace->also(pace->arg))
            return false;
        if (!press_go_on(p, due_us, all_us, "seconds, at a steady rate"))
            return false;
    }
    return true;
}

bool press_answered(struct press *p) {
    while (pusher_unanswered(p->bench->pusher) > 0)
        if (!bench_step(p->bench))
            return false;
    return true;
}

bool press_settle(struct press *p) {
    if (!press_answered(p))
        return false;
    const struct goal came = {COUNT_INBOX, p->accepted, "messages received"};
    const struct goal acked = {COUNT_ACKED, p->accepted, "messages acknowledged"};
    return bench_await(p->bench, &came) && bench_await(p->bench, &acked);
}

void press_report(const struct press *p, json_t *object) {
    uint64_t delivered = share_sum(p->bench->share, COUNT_INBOX);
    json_object_set_new(object, "accepted", json_integer((json_int_t)p->accepted));
    json_object_set_new(object, "failed", json_integer((json_int_t)p->failed));
    json_object_set_new(object, "delivered", json_integer((json_int_t)delivered));
    if (p->first_failure[0])
        json_object_set_new(object, "first_failure", json_string(p->first_failure));
}
