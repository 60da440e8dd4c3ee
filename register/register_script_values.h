// What the register's scripts in Redis have in common with the C code that calls them, and no other
// store knows.
#ifndef HW_REGISTER_SCRIPT_VALUES_H
#define HW_REGISTER_SCRIPT_VALUES_H

enum {
    ROWS_LOOKED_AT = 3,            // users of a bucket, for each new one: who was forgotten goes
    SEEN_MS = 1000,                // how often it is written down that somebody asked
    SEEN_APART_MS = 5 * 60 * 1000, // a row says when it was seen this often
};

#endif
