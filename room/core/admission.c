#include "admission.h"

enum { NARROWED_AGAIN_MS = 1000 };

void admission_init(struct admission *a) {
    *a = (struct admission){.at_once = ADMISSION_FIRST};
}

bool admission_lets_in(struct admission *a) {
    bool is_open = a->under_way + a->let_in < a->at_once;
    a->let_in += is_open ? 1 : 0;
    return is_open;
}

void admission_all_asked(struct admission *a) {
    a->let_in = 0;
}

// As many as may be under way are answered in ADMISSION_GOOD_MS, or there would be fewer soon.
static uint64_t apart_us(const struct admission *a) {
    return ADMISSION_GOOD_MS * UINT64_C(1000) / a->at_once;
}

uint32_t admission_put_off(struct admission *a, uint64_t now_ms) {
    uint64_t now_us = now_ms * 1000, first_us = now_us + ADMISSION_WAIT_MIN_MS * UINT64_C(1000),
             last_us = now_us + ADMISSION_WAIT_MAX_MS * UINT64_C(1000);
    a->next_us += apart_us(a);
    if (a->next_us < first_us || a->next_us > last_us)
        a->next_us = first_us; // again: better twice at a time than all at the last one
    return (uint32_t)((a->next_us - now_us) / 1000);
}

uint64_t admission_left(const struct admission *a) {
    return a->under_way < a->at_once ? a->at_once - a->under_way : 0;
}

void admission_asked(struct admission *a) {
    a->under_way++;
}

static void narrow(struct admission *a, uint64_t now_ms) {
    if (a->narrowed_ms != 0 && now_ms < a->narrowed_ms + NARROWED_AGAIN_MS)
        return; // those under way were let in before
    a->narrowed_ms = now_ms;
    a->at_once = a->at_once / 2 > ADMISSION_MIN ? a->at_once / 2 : ADMISSION_MIN;
}

void admission_answered(struct admission *a, uint64_t asked_ms, uint64_t now_ms, bool is_answer) {
    uint64_t took_ms = now_ms - asked_ms;
    bool is_used = a->under_way >= a->at_once / 2; // else it says nothing of one more
    a->under_way--;
    if (!is_answer || took_ms > ADMISSION_SLOW_MS)
        narrow(a, now_ms);
    else if (is_used && took_ms <= ADMISSION_GOOD_MS && a->at_once < ADMISSION_MAX)
        a->at_once++;
}
