// What the saver's scripts in Redis have in common with the C code that calls them, and no other
// store knows.
#ifndef HW_SAVER_SCRIPT_VALUES_H
#define HW_SAVER_SCRIPT_VALUES_H

enum {
    TIME_FIELD_BYTES = 7,  // of a time in a packed message: until the year 2109
    PURGED_AT_ONCE = 50,   // of what is due in a log, by a step that came for another reason
    ACK_REMOVED_MAX = 200, // entries, by an ack that takes the short way
    APPEND_REFUSED = 100, // what the append script answers beside AppendOutcome: the server is full
    ACK_TAKEN = 0,        // what the ack script answers
    ACK_STALE = 1,
    ACK_UNKNOWN = 2, // a forgotten device attaches again first
};

#endif
