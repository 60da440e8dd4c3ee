#include "hawser.h"

#define NAME_OF(names, at)                                                                         \
    ((size_t)(at) < sizeof(names) / sizeof((names)[0]) ? (names)[at] : "unknown")

const char *hawser_stream_name(enum hawser_stream stream) {
    static const char *const names[] = {"inbox", "news", "bulk"};
    return NAME_OF(names, stream);
}

const char *hawser_state_name(enum hawser_state state) {
    static const char *const names[] = {"offline", "connecting", "online", "stopped"};
    return NAME_OF(names, state);
}

const char *hawser_gap_name(enum hawser_gap_reason reason) {
    static const char *const names[] = {"unknown", "expired",   "overflowed",   "recalled",
                                        "parked",  "collapsed", "other_device", "store_restarted"};
    return NAME_OF(names, reason);
}
